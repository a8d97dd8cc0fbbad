"""Where anybody gets an e-mail address without a company: of such addresses a file of business contacts has few."""

FREE_MAIL = frozenset(
    (
        "gmail.com", "googlemail.com", "yahoo.com", "yahoo.co.uk", "yahoo.co.in", "yahoo.co.jp", "yahoo.fr", "yahoo.de",
        "yahoo.it", "yahoo.es", "yahoo.com.br", "ymail.com", "rocketmail.com", "hotmail.com", "hotmail.co.uk",
        "hotmail.fr", "hotmail.de", "hotmail.it", "hotmail.es", "outlook.com", "outlook.de", "outlook.fr", "live.com",
        "live.co.uk", "live.fr", "live.nl", "msn.com", "aol.com", "icloud.com", "me.com", "mac.com", "proton.me",
        "protonmail.com", "pm.me", "tutanota.com", "gmx.com", "gmx.de", "gmx.net", "gmx.at", "gmx.ch", "web.de",
        "t-online.de", "freenet.de", "mail.com", "email.com", "zoho.com", "fastmail.com", "hey.com", "orange.fr",
        "wanadoo.fr", "free.fr", "laposte.net", "sfr.fr", "libero.it", "virgilio.it", "tiscali.it", "terra.es",
        "ziggo.nl", "btinternet.com", "sky.com", "comcast.net", "verizon.net", "att.net", "sbcglobal.net", "cox.net",
        "bellsouth.net", "charter.net", "earthlink.net", "rediffmail.com", "yandex.ru", "yandex.com", "mail.ru",
        "bk.ru", "inbox.ru", "list.ru", "rambler.ru", "qq.com", "163.com", "126.com", "sina.com", "foxmail.com",
        "naver.com", "daum.net", "hanmail.net", "uol.com.br", "bol.com.br", "terra.com.br", "bigpond.com",
        "seznam.cz", "wp.pl", "o2.pl", "onet.pl", "interia.pl", "abv.bg", "ukr.net", "bluewin.ch", "telenet.be",
    )
)  # fmt: skip
