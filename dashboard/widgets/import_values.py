"""How a value of a contact looks in the tables of an import."""

from datetime import date
from decimal import Decimal
from typing import Any

from dashboard import formats

LONGEST = 120  # characters of a value


def shown(value: Any) -> str | None:
    match value:
        case None:
            return None
        case bool():
            text = "Yes" if value else "No"
        case int() | Decimal():
            text = formats.number(value, digits=2)
        case list():
            text = ", ".join(map(str, value))
        case dict():
            text = ", ".join(f"{name}: {one}" for name, one in value.items())
        case date():
            text = formats.day(value)
        case _:
            text = str(value)
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"
