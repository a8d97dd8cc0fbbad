"""Countries as people write them, and their places on the map: “Germany”, “Deutschland”, “DE” and “DEU” are DEU."""

import json
import re
import unicodedata
from functools import cache
from pathlib import Path

from babel import Locale
from babel.core import get_global

WORLD = Path(__file__).parents[1] / "static" / "world_110m.json"
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

# Countries too small for a shape at the map's scale, as points: latitude and longitude.
POINTS = {
    "SGP": (1.35, 103.82), "HKG": (22.32, 114.17), "MAC": (22.2, 113.55), "BHR": (26.07, 50.55), "MLT": (35.9, 14.45),
    "MDV": (3.2, 73.22), "SYC": (-4.68, 55.49), "XKK": (42.6, 20.9), "LIE": (47.16, 9.55), "MCO": (43.74, 7.42),
    "AND": (42.55, 1.58), "SMR": (43.94, 12.46), "GIB": (36.14, -5.35), "JEY": (49.21, -2.13), "GGY": (49.46, -2.58),
    "IMN": (54.24, -4.55), "FRO": (62.0, -6.79), "BMU": (32.31, -64.75), "CYM": (19.31, -81.25), "VGB": (18.43, -64.62),
    "BRB": (13.19, -59.54), "ATG": (17.06, -61.8), "LCA": (13.91, -60.98), "GRD": (12.12, -61.68),
    "ABW": (12.52, -69.97), "CUW": (12.17, -68.99), "VIR": (17.73, -64.73), "ALA": (60.2, 20.0), "COM": (-11.9, 43.4),
    "CPV": (15.1, -23.6), "DMA": (15.4, -61.4), "GLP": (16.2, -61.6), "GUF": (4.0, -53.0), "GUM": (13.4, 144.8),
    "MTQ": (14.6, -61.0), "MUS": (-20.3, 57.6), "PYF": (-17.6, -149.5), "REU": (-21.1, 55.5), "STP": (0.2, 6.6),
    "WSM": (-13.8, -172.1),
}  # fmt: skip
# ISO 3166 leaves these to its users, and CLDR fills them; Kosovo is the only one that people live in.
UNASSIGNED = re.compile(r"AAA|Q[M-Z][A-Z]|X(?!KK)[A-Z]{2}|ZZ[A-Z]")


def code(name: str) -> str | None:
    """ISO 3166-1 alpha-3 of the country, whether or not the map has it; None where nobody could tell."""
    return _codes().get(_folded(name))


@cache
def on_the_map() -> frozenset[str]:
    """The codes of the countries that have a shape: at this scale the smallest ones have none."""
    world = json.loads(WORLD.read_text())
    return frozenset(shape["id"] for shape in world["objects"]["countries"]["geometries"] if "id" in shape)


@cache
def _codes() -> dict[str, str]:
    """Folded name -> code, from CLDR, which Babel carries: it takes alpha-3 for an alias of alpha-2."""
    three = _alpha_3()
    codes = {alias.lower(): alpha_3 for alpha_2, alpha_3 in three.items() for alias in (alpha_2, alpha_3)}
    codes |= {name: three[alpha_2] for name, alpha_2 in ALSO.items()}
    for language in LANGUAGES:
        for alpha_2, name in Locale(language).territories.items():
            if alpha_2 in three:
                codes.setdefault(_folded(name), three[alpha_2])
    return codes


def _alpha_3() -> dict[str, str]:
    """Alpha-2 -> alpha-3. Some countries had other codes before; the map knows which one is today's."""
    found: dict[str, str] = {}
    for alias, today in get_global("territory_aliases").items():
        if len(alias) != 3 or not alias.isalpha() or len(today) > 1 or UNASSIGNED.fullmatch(alias):
            continue
        if found.get(today[0]) not in on_the_map():
            found[today[0]] = alias
    return found


def _folded(name: str) -> str:
    """Without capitals, accents, signs and the words that names start with or not."""
    apart = unicodedata.normalize("NFKD", name.casefold().replace("'", "").replace("’", "").replace("&", " and "))
    letters = "".join(sign if sign.isalnum() else " " for sign in apart if not unicodedata.combining(sign))
    return " ".join(letters.split()).removeprefix("the ")
