"""Numbers and moments as the person's locale and time zone write them; the words around them are English."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st
from babel import Locale, UnknownLocaleError
from babel.dates import format_skeleton
from babel.numbers import (
    NumberFormatError,
    format_compact_decimal,
    format_currency,
    format_decimal,
    format_percent,
    parse_decimal,
)
from streamlit.runtime.scriptrunner import get_script_run_ctx

from models.errors import InvalidInput

MISSING = "–"
# Numbers as they are written: a page of contacts has hundreds, and to write them took a sixth of its time.
KEPT = 20_000
FALLBACK = "en_GB"  # 20,000 and 22 Nov 2026
LDML = re.compile(r"'([^']*)'|(y+|d+|.)", re.DOTALL)  # a quoted text, or a sign of a date's pattern (UTS 35)
GROUPING = re.compile(r"[\s'’]")  # signs that stand between thousands in some countries, and for nothing else in any
MOMENT_JS = {"y": "YYYY", "d": "D", "dd": "DD"}


def number(value: int | float | Decimal | None, *, digits: int = 0) -> str:
    """“20,000”, with at most so many digits after the point."""
    return MISSING if value is None else _number(value, digits, _locale())


@lru_cache(maxsize=KEPT, typed=True)
def _number(value: int | float | Decimal, digits: int, locale: Locale) -> str:
    pattern = "#,##0" + ("." + "#" * digits if digits else "")
    return str(format_decimal(value, format=pattern, locale=locale))


def parsed_number(text: str) -> Decimal:
    """The number that the person's locale writes so. Raises InvalidInput with how it is written."""
    try:
        return parse_decimal(GROUPING.sub("", text), locale=_locale(), strict=True)
    except NumberFormatError as error:
        raise InvalidInput(f"“{text}” is no number here: one and a half thousand is written {number(1500)}.") from error


def compact(value: int | float | Decimal | None) -> str:
    """“602M”: three digits at most, for amounts whose unit stands elsewhere."""
    return MISSING if value is None else _compact(value, _locale())


@lru_cache(maxsize=KEPT, typed=True)
def _compact(value: int | float | Decimal, locale: Locale) -> str:
    leading = (len(str(int(abs(value)))) - 1) % 3 + 1  # digits before the point, once it is “602M”
    digits = 1 if leading == 1 and abs(value) >= 1000 else 0
    return str(format_compact_decimal(value, locale=locale, fraction_digits=digits))


def money(paise: int | None, currency: str = "INR") -> str:
    """“₹1,199.00”: of any currency the hundredth part."""
    if paise is None:
        return MISSING
    amount = Decimal(paise) / 100
    return str(format_currency(amount, currency, locale=_locale()))


def share(part: float, whole: float, *, digits: int = 1) -> str:
    """“62.6%” of the whole; missing where there is none."""
    if not whole:
        return MISSING
    pattern = "#,##0" + ("." + "0" * digits if digits else "") + "%"
    return str(format_percent(part / whole, format=pattern, locale=_locale()))


def day(value: date | datetime | None) -> str:
    """“22 Nov 2026”."""
    if value is None:
        return MISSING
    # A number with a point and a space after it begins a list, where Markdown reads it.
    return str(format_skeleton("yMMMd", _local(value), locale=_locale())).replace(". ", ".\u00a0")


def month(value: date, *, short: bool = False) -> str:
    """“Nov 2026”, or in short “Nov”."""
    return str(format_skeleton("MMM" if short else "yMMM", value, locale=_locale()))


def moment(value: datetime | None) -> str:
    """“22 Nov 2026, 15:40” where the person is."""
    if value is None:
        return MISSING
    return f"{day(value)}, {_local(value):%H:%M}"


def clock(value: datetime) -> str:
    """“14:05:07”, the same in every locale, for lines of a log."""
    return f"{_local(value):%H:%M:%S}"


def pattern(*, clock: bool = False) -> str:
    """`day`, or with `clock` `moment`, as a pattern of Moment.js, which writes the dates in tables."""
    parts = LDML.findall(_locale().datetime_skeletons["yMMMd"].pattern)
    written = "".join(f"[{quoted}]" if quoted else MOMENT_JS.get(sign, sign) for quoted, sign in parts)
    return f"{written}, HH:mm" if clock else written


def day_pattern() -> str:
    """The one of Streamlit's three for its date inputs that is nearest to how the person writes days."""
    written = pattern()
    return "DD/MM/YYYY" if written.startswith("D") else "MM/DD/YYYY" if written.startswith("M") else "YYYY/MM/DD"


def time_zone() -> str:
    """Of the person, as the browser says."""
    return st.context.timezone or "UTC"


def value(stored: Any) -> str:
    """A value of a filter: numbers and days as above, “yes”, or the text itself."""
    match stored:
        case bool():
            return "yes" if stored else "no"
        case int() | Decimal():
            return number(stored, digits=2)
        case date():
            return day(stored)
    return str(stored)


def duration(seconds: float) -> str:
    """“44 s”, “4 min 12 s”, “2 h 5 min”."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def size(count: int) -> str:
    """“312 B”, “4.5 KB”, “602 MB”: decimal units, as file managers count."""
    amount = float(count)
    for unit in ("B", "KB", "MB"):
        if amount < 1000:
            return f"{number(amount, digits=0 if amount >= 100 else 1)} {unit}"
        amount /= 1000
    return f"{number(amount, digits=1)} GB"


def counted(count: int, thing: str, things: str | None = None) -> str:
    """“1 contact”, “20,000 contacts”."""
    return f"{number(count)} {thing if count == 1 else things or thing + 's'}"


def separators() -> str:
    """The signs before decimals and between thousands, as charts take them: “.,”."""
    written = number(12345.5, digits=1)
    return written[-2] + written[2]


def _local(value: date) -> date:
    if not isinstance(value, datetime):
        return value
    moment = value if value.tzinfo else value.replace(tzinfo=UTC)
    return moment.astimezone(_zone(time_zone()))


def _locale() -> Locale:
    # Streamlit warns in its log where no screen asks: the pages of /pay are none.
    named = st.context.locale if get_script_run_ctx(suppress_warning=True) else None
    return _parsed(named if isinstance(named, str) else FALLBACK)


@cache
def _parsed(name: str) -> Locale:
    """English alone is taken for British: the day stands before the month, as on every screen."""
    try:
        return Locale.parse(FALLBACK if name in ("en", "C") else name.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return Locale.parse(FALLBACK)


@cache
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
