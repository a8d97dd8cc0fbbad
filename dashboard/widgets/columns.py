"""Which columns a table of contacts has, and how each is drawn."""

from collections.abc import Iterable
from typing import Any

import streamlit as st

from dashboard.widgets.page import token
from models.contacts.table import DERIVED, EMAIL_STATUSES, FIELDS, FULL_NAME
from models.errors import InvalidInput
from models.fields import Kind
from models.filters import visible_fields
from models.permissions import Actor

ADDED = "created_at"
DEFAULT = (
    FULL_NAME, "title", "company", "city", "state", "country", "email", "email_status", "work_direct_phone",
    "employees", "annual_revenue", "tags", ADDED,
)  # fmt: skip
LABELS = {
    FULL_NAME: "Name",
    ADDED: "Added",
    "email": "E-mail",
    "email_status": "E-mail status",
    "annual_revenue": "Revenue",
}
WIDTHS = {
    FULL_NAME: 140, "title": 170, "company": 200, "city": 110, "state": 110, "email": 215, "email_status": 125,
    "country": 110, "employees": 85, "annual_revenue": 85, ADDED: 95, "industry": 150,
}  # fmt: skip
STATUS_COLOURS = {
    "Verified": "green", "Likely to engage": "green", "Extrapolated": "yellow", "Guessed": "yellow",
    "Invalid": "red", "Unavailable": "red", "Unverified": "gray",
}  # fmt: skip


def offered(by: Actor) -> list[str]:
    """The columns that `by` may see, in the fields' order, the name first."""
    fields = visible_fields(by)
    named = [FULL_NAME] if set(DERIVED[FULL_NAME].parts) <= set(fields) else []
    return [*named, *fields, ADDED]


def chosen(columns: Iterable[str] | None, *, by: Actor) -> list[str]:
    """`columns`, or those of the default set that `by` may see. Raises InvalidInput for one not offered."""
    known = offered(by)
    if columns is None:
        return [name for name in DEFAULT if name in known]
    if unknown := [name for name in columns if name not in known]:
        raise InvalidInput(f"There is no column “{unknown[0]}”. Columns are: {', '.join(known)}.")
    return list(dict.fromkeys(columns))


def fields_of(columns: Iterable[str]) -> list[str]:
    """The stored fields behind `columns`: the name's parts for the name, nothing that is the system's own."""
    parts = [part for name in columns for part in (DERIVED[name].parts if name in DERIVED else (name,))]
    return [name for name in dict.fromkeys(parts) if name in FIELDS]


def label(name: str) -> str:
    if name in LABELS:
        return LABELS[name]
    return FIELDS[name].label.removeprefix("# ")


def cell(name: str, row: dict[str, Any]) -> Any:
    """The value as the column's drawing takes it."""
    if name == FULL_NAME:
        return " ".join(row[part] for part in DERIVED[FULL_NAME].parts if row[part]) or None
    value = row[name]
    kind = FIELDS[name].kind if name in FIELDS else None
    if value is None:
        return None
    match kind:
        case Kind.EMAIL:
            return f"mailto:{value}"
        case Kind.URL:  # whatever else a file put there, a link opens a web page and runs nothing
            return value if value.startswith(("https://", "http://")) else f"https://{value}"
        case Kind.MONEY:
            return float(value)
    return [value] if name == "email_status" else value


def drawing(name: str) -> Any:
    """The column's Streamlit configuration."""
    config, title, width = st.column_config, label(name), WIDTHS.get(name, 140)
    if name == "email_status":
        colours = [token(f"{STATUS_COLOURS[status]}BackgroundColor") for status in EMAIL_STATUSES]
        return config.MultiselectColumn(title, width=width, options=list(EMAIL_STATUSES), color=colours)
    if name == ADDED:
        return config.DatetimeColumn(title, width=width, format="D MMM YYYY")
    if name == FULL_NAME:
        return config.TextColumn(title, width=width)
    match FIELDS[name].kind:
        case Kind.EMAIL:
            return config.LinkColumn(title, width=width, display_text="mailto:(.*)")
        case Kind.URL:
            return config.LinkColumn(title, width=width, display_text="https?://(?:www.)?(.*?)/?$")
        case Kind.WHOLE:
            return config.NumberColumn(title, width=width, format="localized")
        case Kind.MONEY:
            return config.NumberColumn(f"{title}, $", width=width, format="compact")
        case Kind.DATE:
            return config.DateColumn(title, width=width, format="D MMM YYYY")
        case Kind.FLAG:
            return config.CheckboxColumn(title, width=width)
        case Kind.LIST:
            return config.ListColumn(title, width=200)
    return config.TextColumn(title, width=width)
