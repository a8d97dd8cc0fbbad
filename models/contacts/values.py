"""One value of one field, from text: what edit forms accept, and the specification of what imports do set-wise in SQL.

The kinds with a subject of their own live beside this module: amounts, dates, links, emails, blanks. Each exports the
regular expressions and word lists it uses, so that the SQL is made from the same ones.
"""

import csv
import json
import re
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any, TypeVar

from models.contacts import amounts, emails, links
from models.contacts import dates as day
from models.contacts.blanks import SPACES, is_empty, trimmed
from models.errors import InvalidInput
from models.fields import Field, Kind

FLAG_WORDS = {
    **dict.fromkeys(("yes", "y", "true", "t", "1", "1.0", "x", "on", "active", "ja", "wahr", "oui", "sí", "si"), True),
    **dict.fromkeys(("no", "n", "false", "f", "0", "0.0", "off", "inactive", "nein", "falsch", "non"), False),
}

# A spreadsheet's apostrophe that forces text, a link's "tel:", a float's ".0" are none of the phone's.
PHONE_BEFORE = r"^(?:['’`]+|[tT][eE][lL]:) *"
PHONE_FLOAT = r"^([0-9]{7,15})\.0$"
PHONE_DASHES = "‐‑‒–—−"
PHONE = r"\+?[0-9(][0-9 ()./+-]*(?:,? ?(?i:extension|ext\.?|x|#)[ .:#]*[0-9]{1,7})?"
PHONE_DIGITS = r"(?:[^0-9]*[0-9]){5,20}[^0-9]*"

BETWEEN_WORDS = "_-"  # programs write a choice with these in place of its blanks

LIST_SEPARATORS = (" ::: ", ";", "\n", ",")
"""The first one found in a cell separates it; the others are then part of the values."""


def parse(field: Field, text: str, *, day_first: bool | None = None) -> Any:
    """The value as the column stores it; None for words that mean "nothing" (`N/A`, `-`, `(blank)`).

    Industry and owner come back as the name. Raises InvalidInput, which names the field and what would fit.
    `day_first` decides dates like 03/04/2020, which are refused without it.
    """
    text = trimmed(text.replace("\x00", ""))
    if is_empty(field.kind, text):
        return None
    match field.kind:
        case Kind.EMAIL:
            return _email(field, text)
        case Kind.PHONE:
            return _fitting(field, text, phone(text))
        case Kind.WHOLE:
            return _fitting(field, text, amounts.whole(text), _number_note(text))
        case Kind.MONEY:
            return _money(field, text)
        case Kind.DATE:
            return _date(field, text, day_first)
        case Kind.URL:
            return within_length(field, _fitting(field, text, links.url(text, profile=field.profile)))
        case Kind.FLAG:
            return _fitting(field, text, FLAG_WORDS.get(text.lower()))
        case Kind.LIST:
            return [within_length(field, member) for member in split(text)] or None
        case Kind.CHOICE:
            return within_length(field, choice(field.choices, text))
        case Kind.TEXT | Kind.INDUSTRY | Kind.OWNER:
            return within_length(field, text)


def phone(text: str) -> str | None:
    """The number as written, without a leading apostrophe; None unless it has 5 to 20 digits, and no other signs."""
    cleaned = re.sub(PHONE_BEFORE, "", text)
    cleaned = cleaned.translate(dict.fromkeys(map(ord, PHONE_DASHES), "-"))
    cleaned = re.sub(PHONE_FLOAT, r"\1", re.sub(f"[{SPACES}]+", " ", cleaned)).strip()
    fits = re.fullmatch(PHONE, cleaned) and re.fullmatch(PHONE_DIGITS, cleaned)
    return cleaned if fits else None


def split(text: str) -> list[str]:
    """The values of a list cell, trimmed, each once, in the order they come.

    A JSON array (`["a", "b"]`) and a quoted list (`"VIP","Blog"`) are read as such; any other cell is separated by
    the first of LIST_SEPARATORS that it holds.
    """
    parts = _json_array(text)
    if parts is None and text.startswith('"'):
        parts = _quoted_list(text)
    if parts is None:
        separator = next((one for one in LIST_SEPARATORS if one in text), None)
        parts = text.split(separator) if separator else [text]
    return list(dict.fromkeys(value for part in parts if (value := trimmed(part))))


def joined(values: Sequence[str]) -> str:
    """The cell from which `split` makes the same values: `a, b`, or a JSON array where that would be read otherwise."""
    plain = ", ".join(values)
    unchanged = split(plain) == list(values) and not is_empty(Kind.LIST, plain)
    return plain if unchanged else json.dumps(list(values), ensure_ascii=False)


def choice(choices: Sequence[str], text: str) -> str:
    """The declared spelling, whatever the capitals and whatever stands between words (`c_suite`); a word that is not
    declared stays as it is."""
    return next((known for known in choices if choice_key(known) == choice_key(text)), text)


def choice_key(text: str) -> str:
    """What choices are compared by; the SQL of imports does the same."""
    return text.lower().translate(dict.fromkeys(map(ord, BETWEEN_WORDS), " "))


def _json_array(text: str) -> list[str] | None:
    if not (text.startswith("[") and text.endswith("]")):
        return None
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if any(isinstance(value, list | dict) for value in values):
        return None
    return [value if isinstance(value, str) else json.dumps(value) for value in values if value is not None]


def _quoted_list(text: str) -> list[str] | None:
    try:
        return next(csv.reader([text], skipinitialspace=True, strict=True), None)
    except csv.Error:
        return None


def within_length(field: Field, text: str) -> str:
    """The text as it is. Raises InvalidInput where the field takes no value, or no member of a list, so long."""
    if field.longest and len(text) > field.longest:
        raise InvalidInput(
            f"{field.title}: “{text[:40]}…” has {len(text):,} characters, more than {field.longest}.", field=field.name
        )
    return text


def _email(field: Field, text: str) -> str:
    address = emails.normalised(text)
    if found := emails.problem(address):
        raise InvalidInput(f"{field.title}: “{text}” is not an e-mail address: {found}.", field=field.name)
    return address


def _money(field: Field, text: str) -> Decimal:
    if amounts.is_foreign(text):
        raise InvalidInput(
            f"{field.title}: “{text}” is in another currency: amounts are kept in US dollars (write 3000000).",
            field=field.name,
        )
    return _fitting(field, text, amounts.money(text), _number_note(text))


def _date(field: Field, text: str, day_first: bool | None) -> date:
    try:
        return _fitting(field, text, day.parse(text, day_first=day_first))
    except day.UndecidedDate as error:
        raise InvalidInput(
            f"{field.title}: “{text}” can be read with the day first or the month first; write it as 2026-03-31.",
            field=field.name,
        ) from error


Value = TypeVar("Value")
_WANTED = {
    Kind.PHONE: "a phone number (5 to 20 digits, for example +44 20 7946 0958)",
    Kind.WHOLE: "a whole number (for example 250)",
    Kind.MONEY: "an amount of money in US dollars, below 10 trillion (for example 1500000, $1.5M or 1,500,000.00)",
    Kind.DATE: "a date (for example 2026-03-31)",
    Kind.URL: "a web address (for example https://example.com)",
    Kind.FLAG: "yes or no",
}


def _fitting(field: Field, text: str, value: Value | None, note: str = "") -> Value:
    if value is None:
        raise InvalidInput(f"{field.title}: “{text}” is not {_WANTED[field.kind]}.{note}", field=field.name)
    return value


def _number_note(text: str) -> str:
    ambiguous = re.search(rf"(?:^|[^0-9.,])({amounts.AMBIGUOUS})(?:$|[^0-9.,])", text)
    return " Its point could part thousands or decimals: write 1234 or 1.23." if ambiguous else ""
