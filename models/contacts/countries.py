"""Countries as people write them: “Germany”, “Deutschland”, “DE” and “DEU” are DE."""

import re
import unicodedata
from functools import cache

from babel import Locale
from babel.core import get_global

# English first: where two languages mean different countries by one word, the first one counts.
LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl", "sv", "da", "nb", "fi", "pl", "cs", "tr", "ja", "zh")
# What CLDR does not list: official and short names in English, after ISO 3166 and common use.
ALSO = {
    "america": "US", "united states of america": "US", "u s a": "US", "u s": "US",
    "uk": "GB", "u k": "GB", "great britain": "GB", "britain": "GB", "england": "GB", "scotland": "GB", "wales": "GB",
    "northern ireland": "GB", "united kingdom of great britain and northern ireland": "GB",
    "russian federation": "RU", "korea": "KR", "republic of korea": "KR", "korea republic of": "KR",
    "korea democratic peoples republic of": "KP", "peoples republic of china": "CN", "mainland china": "CN",
    "taiwan province of china": "TW", "viet nam": "VN", "czech republic": "CZ", "holland": "NL",
    "turkey": "TR", "uae": "AE", "u a e": "AE", "brasil": "BR", "iran islamic republic of": "IR",
    "syrian arab republic": "SY", "moldova republic of": "MD", "tanzania united republic of": "TZ",
    "venezuela bolivarian republic of": "VE", "bolivia plurinational state of": "BO", "ivory coast": "CI",
    "lao peoples democratic republic": "LA", "brunei darussalam": "BN", "macedonia": "MK", "swaziland": "SZ",
    "burma": "MM", "cape verde": "CV", "democratic republic of the congo": "CD", "dr congo": "CD",
    "republic of ireland": "IE", "hong kong": "HK", "macau": "MO", "macao": "MO", "east timor": "TL",
}  # fmt: skip
# ISO 3166 leaves these to its users, and CLDR fills them; Kosovo is the only one that people live in.
UNASSIGNED = re.compile(r"AAA|Q[M-Z][A-Z]|X(?!KK)[A-Z]{2}|ZZ[A-Z]")


def code(name: str) -> str | None:
    """ISO 3166-1 alpha-2 of the country; None where nobody could tell."""
    return _codes().get(_folded(name))


@cache
def alpha_3() -> dict[str, list[str]]:
    """Alpha-2 -> its alpha-3 codes, from CLDR, which Babel carries; some countries had other ones before."""
    found: dict[str, list[str]] = {}
    for alias, today in get_global("territory_aliases").items():
        if len(alias) == 3 and alias.isalpha() and len(today) == 1 and not UNASSIGNED.fullmatch(alias):
            found.setdefault(today[0], []).append(alias)
    return found


@cache
def _codes() -> dict[str, str]:
    """Folded name -> code."""
    codes = {alias.lower(): alpha_2 for alpha_2, longer in alpha_3().items() for alias in (alpha_2, *longer)}
    codes |= ALSO
    for language in LANGUAGES:
        for alpha_2, name in Locale(language).territories.items():
            if alpha_2 in alpha_3():
                codes.setdefault(_folded(name), alpha_2)
    return codes


def _folded(name: str) -> str:
    """Without capitals, accents, signs and the words that names start with or not."""
    apart = unicodedata.normalize("NFKD", name.casefold().replace("'", "").replace("’", "").replace("&", " and "))
    letters = "".join(sign if sign.isalnum() else " " for sign in apart if not unicodedata.combining(sign))
    return " ".join(letters.split()).removeprefix("the ")
