"""Dates in the forms that exports use. 03/04/2020 is read only when somebody says which number is the day.

The patterns hold for RE2 and Python, on trimmed text in lower case, and are matched whole. Each has three groups.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta

MONTHS = {
    word: number
    for number, words in enumerate(
        (
            "jan january januar jän jänner janvier enero", "feb february februar février febrero",
            "mar march mär märz mrz mars marzo", "apr april avril abril", "may mai mayo", "jun june juni juin junio",
            "jul july juli juillet julio", "aug august août agosto", "sep sept september septembre septiembre",
            "oct october okt oktober octobre octubre", "nov november novembre noviembre",
            "dec december dez dezember décembre diciembre",
        ),
        1,
    )
    for word in words.split()
}  # fmt: skip

_MONTH = "(" + "|".join(sorted(MONTHS, key=lambda word: (-len(word), word))) + ")"
_YEAR = "([12][0-9]{3})"
_NUMBER = "([0-9]{1,2})"
_ZONE = "(?:z|utc|gmt|[+-][0-9]{2}(?::?[0-9]{2})?)?"
_CLOCK = rf"([0-9]{{1,2}}):([0-9]{{2}})(?::([0-9]{{2}})(?:[.,]([0-9]+))?)? ?(am|pm)? ?({_ZONE})$"
_TIME = rf"(?:,?[ t]+[0-9]{{1,2}}:[0-9]{{2}}(?::[0-9]{{2}}(?:[.,][0-9]+)?)? ?(?:am|pm)? ?{_ZONE})?"


@dataclass(frozen=True)
class DateForm:
    """A pattern, and what its three groups are: y(ear), m(onth as a number), n(ame of the month), d(ay)."""

    pattern: str
    groups: str


FORMS = (
    DateForm(rf"{_YEAR}-{_NUMBER}-{_NUMBER}{_TIME}", "ymd"),
    DateForm(rf"{_YEAR}/{_NUMBER}/{_NUMBER}{_TIME}", "ymd"),
    DateForm(rf"{_YEAR}\.{_NUMBER}\.{_NUMBER}{_TIME}", "ymd"),
    # Points are written where the day comes first.
    DateForm(rf"{_NUMBER}\. ?{_NUMBER}\. ?{_YEAR}{_TIME}", "dmy"),
    DateForm(rf"{_NUMBER}(?:st|nd|rd|th|\.)?[ -]*{_MONTH}\.?,?[ -]*{_YEAR}{_TIME}", "dny"),
    DateForm(rf"{_MONTH}\.?[ -]*{_NUMBER}(?:st|nd|rd|th)?,?[ -]+{_YEAR}{_TIME}", "ndy"),
)
UNDECIDED = rf"{_NUMBER}[/-]{_NUMBER}[/-]{_YEAR}{_TIME}"
"""Two numbers and a year: which is the day shows in the number above 12, in the other rows, or nowhere."""


class UndecidedDate(ValueError):
    """Both numbers may be the day; the message is the text."""


def parse(text: str, *, day_first: bool | None = None) -> date | None:
    """The day as it is written, whatever the time and offset behind it; None when the text is no date.

    `day_first` says how 03/04/2020 is to be read; without it such a text raises UndecidedDate.
    """
    lowered = text.lower()
    for form in FORMS:
        if matched := re.fullmatch(form.pattern, lowered):
            return _date(dict(zip(form.groups, matched.groups(), strict=True)))
    if matched := re.fullmatch(UNDECIDED, lowered):
        return _decided(text, matched[1], matched[2], matched[3], day_first)
    return None


def moment(text: str, *, day_first: bool | None = None) -> datetime | None:
    """The moment in UTC, without a zone; a day alone is its beginning, and a time without an offset is UTC's. None when
    the text is no date. Raises UndecidedDate, like `parse`."""
    day = parse(text, day_first=day_first)
    if day is None:
        return None
    clock = re.search(_CLOCK, text.lower())
    if clock is None:
        return datetime(day.year, day.month, day.day)
    hour, minute, second, fraction, half, zone = clock.groups()
    number = int(hour) % 12 + 12 * (half == "pm") if half else int(hour)
    try:
        read = datetime(day.year, day.month, day.day, number, int(minute), int(second or 0))
        return read + timedelta(microseconds=int(f"{fraction or 0:0<6}"[:6])) - _offset(zone)
    except (ValueError, OverflowError):
        return None


def _offset(zone: str | None) -> timedelta:
    if not zone or zone[0] not in "+-":
        return timedelta(0)
    digits = zone[1:].replace(":", "")
    behind = timedelta(hours=int(digits[:2]), minutes=int(digits[2:] or 0))
    return -behind if zone[0] == "-" else behind


def says_day_first(text: str) -> bool | None:
    """What one text proves about its column: True for 25/03/2020, False for 03/25/2020, None when it proves nothing."""
    matched = re.fullmatch(UNDECIDED, text.lower())
    if matched is None or (int(matched[1]) > 12) == (int(matched[2]) > 12):
        return None
    return int(matched[1]) > 12


def _decided(text: str, first: str, second: str, year: str, day_first: bool | None) -> date | None:
    if day_first is None and first != second:
        day_first = says_day_first(text)
        if day_first is None and int(first) <= 12 and int(second) <= 12:
            raise UndecidedDate(text)
    return _date(dict(zip("dmy" if day_first else "mdy", (first, second, year), strict=True)))


def _date(parts: dict[str, str]) -> date | None:
    month = MONTHS[parts["n"]] if "n" in parts else int(parts["m"])
    try:
        return date(int(parts["y"]), month, int(parts["d"]))
    except ValueError:
        return None
