"""Web addresses and profile handles, in one spelling each.

`acme.com` becomes `https://acme.com`; `http://` stays for websites, since some have nothing else, and becomes
`https://` for LinkedIn, Facebook and Twitter. The regular expressions hold for RE2 and Python and are matched whole.
"""

import re

_WIDE = "a-zA-Z\u00a1-\U0010ffff"
_LETTER = f"0-9{_WIDE}"
_LABEL = f"[{_LETTER}_](?:[{_LETTER}_-]*[{_LETTER}_])?"
_HOST = rf"(?:{_LABEL}\.)+[{_WIDE}][{_LETTER}-]*[{_LETTER}]"
URL = rf"(?:([hH][tT][tT][pP][sS]?:)?//)?({_HOST}\.?)((?::[0-9]{{1,5}})?)([/?#][^\x00-\x20\"<>]*)?"
"""Four groups: scheme with colon, host, port with colon, and the rest from its slash; all but the host may be empty."""

_LINKEDIN_HOST = r"(?:https?:)?(?://)?(?:[a-z0-9-]+\.)*linkedin\.com"
LINKEDIN = rf"(?i:{_LINKEDIN_HOST})/(?i:(in|company|school|showcase))/([^/?#\x00-\x20]+)(?:[/?#][^\x00-\x20]*)?"
"""A person or a company at LinkedIn, on any of its hosts, with whatever follows: LINKEDIN_AS keeps type and name."""
LINKEDIN_AS = r"https://www.linkedin.com/\1/\2"
SECURE_HOST = r"(?:[a-z0-9-]+\.)*(?:linkedin|facebook|fb|twitter|x)\.com"
HANDLE = r"@?([0-9A-Za-z_%À-ɏ-]+)"
FACEBOOK_HANDLE = r"@?([0-9A-Za-z_.%À-ɏ-]+)"
"""Facebook's names may hold points; a host of Facebook's own is told apart by SECURE_HOST."""


def url(text: str, *, profile: str | None = None) -> str | None:
    """The address in its one spelling, or None when the text is none.

    `profile` is the field's address before a bare handle: "@acme" becomes "https://twitter.com/acme".
    """
    if matched := re.fullmatch(LINKEDIN, text):
        return f"https://www.linkedin.com/{matched[1].lower()}/{matched[2]}"
    if profile and (handle := _handle(text, profile)):
        return handle
    matched = re.fullmatch(URL, text)
    if matched is None or (profile and not matched[1] and not re.fullmatch(SECURE_HOST, matched[2].lower())):
        return None
    return _address(matched[1] or "", matched[2].lower().rstrip("."), matched[3] or "", matched[4] or "")


def _handle(text: str, profile: str) -> str | None:
    """`@acme`, `acme`, and LinkedIn's `in/ann`; a bare word with a point only where the site's names have points."""
    pattern = FACEBOOK_HANDLE if "facebook" in profile else HANDLE
    kind = profile.rstrip("/").rpartition("/")[2]
    name = text.removeprefix("/").removeprefix(f"{kind}/").removesuffix("/")
    matched = re.fullmatch(pattern, name)
    if matched is None or re.fullmatch(rf"www\..*|{SECURE_HOST}", name.lower()):
        return None
    return profile + matched[1]


def _address(scheme: str, host: str, port: str, rest: str) -> str:
    if host.endswith("linkedin.com"):
        rest = re.split("[?#]", rest)[0]
    if re.fullmatch(SECURE_HOST, host):
        return "https://" + host + port + rest.rstrip("/")
    return (scheme.lower() or "https:") + "//" + host + port + ("" if rest == "/" else rest)
