"""Whole numbers and amounts of money, as people and programs write them.

A point or a comma is read only where it has one meaning: `1,234` groups, `12,5` and `1.234,56` have a decimal comma,
`1.2` a decimal point; `1.234` would be a thousandfold wrong in one half of the world, and is refused.
The regular expressions hold for RE2 and Python, on trimmed text in lower case, and are matched whole.
"""

import re
from decimal import ROUND_HALF_UP, Decimal

from models.contacts.blanks import SPACES

_APART = f"[{SPACES}'’]"
POINT = (
    r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?"  # 1,234.56
    rf"|[0-9]{{1,3}}(?:{_APART}[0-9]{{3}})+(?:\.[0-9]+)?"  # 1 234.56, 1'234.56
    r"|[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3}(?:\.[0-9]+)?"  # 12,34,567 (India)
    r"|[0-9]*\.?[0-9]+(?:e\+?[0-9]{1,2})?|[0-9]+\."  # 1234.5, .5, 5.2e+06 (a spreadsheet's), 7.
)
"""Numbers with a decimal point or none: without `GROUPING` characters they are what a computer writes."""
COMMA = (
    r"[0-9]{1,3}(?:\.[0-9]{3})+,[0-9]{1,2}|[0-9]{1,3}(?:\.[0-9]{3}){2,}"  # 1.234,56, 1.234.567
    rf"|[0-9]{{1,3}}(?:{_APART}[0-9]{{3}})+,[0-9]{{1,2}}|[0-9]+,[0-9]{{1,2}}"  # 1 234,56, 12,5
)
"""Numbers with a decimal comma: take out points and spaces, then the comma is the point."""
AMBIGUOUS = r"[1-9][0-9]{0,2}\.[0-9]{3}"
"""1.234: one and a quarter, or a thousand and more. Refused, unless a multiplier stands behind."""
GROUPING = f",{SPACES}'’"
COMMA_GROUPING = f".{SPACES}'’"

MULTIPLIERS = {
    "k": 10**3, "thousand": 10**3, "tsd": 10**3, "tsd.": 10**3, "lakh": 10**5,
    "m": 10**6, "mm": 10**6, "mn": 10**6, "mio": 10**6, "mio.": 10**6, "mil": 10**6,
    "million": 10**6, "millions": 10**6,
    "cr": 10**7, "crore": 10**7,
    "b": 10**9, "bn": 10**9, "mrd": 10**9, "mrd.": 10**9, "billion": 10**9, "billions": 10**9,
    "tn": 10**12, "trillion": 10**12,
}  # fmt: skip
_MULTIPLIER = "|".join(re.escape(word) for word in sorted(MULTIPLIERS, key=len, reverse=True))
_DOLLARS = "us[$]|[$]|usd"
_OTHERS = "a[$]|c[$]|[€£¥₹₽₩₺]|eur|gbp|jpy|inr|chf|cad|aud|cny|rmb|sek|nok|dkk|pln|brl|rs[.]?"


def _amount(currency: str) -> str:
    before, after = rf"(?:{currency})?[{SPACES}]*", rf"[{SPACES}]*(?:{currency})?"
    return rf"{before}({POINT}|{COMMA})[{SPACES}]*({_MULTIPLIER})?{after}"


MONEY = _amount(_DOLLARS)
"""Two groups: the number (POINT or COMMA) and the word of MULTIPLIERS, empty when there is none."""
ANY_MONEY = _amount(f"{_DOLLARS}|{_OTHERS}")

WHOLE_LIMIT = 10**15  # below it DuckDB, Postgres, pandas and JSON agree on a whole number
MONEY_LIMIT = Decimal(10**13)  # Numeric(15, 2)
CENT = Decimal("0.01")


def whole(text: str) -> int | None:
    """`1,234` and `5200.0`; None for anything else, ranges (`51-200`) and open ends (`10,001+`) included."""
    found = _number(text.lower())
    if found is None or found != found.to_integral_value() or found >= WHOLE_LIMIT:
        return None
    return int(found)


def money(text: str) -> Decimal | None:
    """US dollars, from `$5.2M`, `1.2bn USD`, `5200000.0`, to the cent (halves up); None for anything else.

    Amounts are stored without a currency: one in another, taken as it stands, would be wrong and nobody could tell.
    """
    matched = re.fullmatch(MONEY, text.lower())
    if matched is None:
        return None
    found = _number(matched[1], multiplied=bool(matched[2]))
    if found is None:
        return None
    amount = (found * MULTIPLIERS.get(matched[2] or "", 1)).quantize(CENT, ROUND_HALF_UP)
    return amount if amount < MONEY_LIMIT else None


def is_foreign(text: str) -> bool:
    """Whether it is an amount of money in another currency than US dollars: `€ 3m`, `$5M CAD`."""
    lowered = text.lower()
    return re.fullmatch(ANY_MONEY, lowered) is not None and re.fullmatch(MONEY, lowered) is None


def _number(text: str, *, multiplied: bool = False) -> Decimal | None:
    if re.fullmatch(AMBIGUOUS, text) and not multiplied:
        return None
    if re.fullmatch(POINT, text):
        return _bounded(_without(text, GROUPING))
    if re.fullmatch(COMMA, text):
        return _bounded(_without(text, COMMA_GROUPING).replace(",", "."))
    return None


def _bounded(text: str) -> Decimal | None:
    """None where the number could not be stored anyway: Decimal would take 9e99 and a million digits."""
    value = Decimal(text) if len(text) <= 30 else None
    return value if value is not None and value < MONEY_LIMIT * 1000 else None


def _without(text: str, characters: str) -> str:
    return text.translate(dict.fromkeys(map(ord, characters)))
