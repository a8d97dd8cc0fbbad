"""Which columns a table of contacts has, and how each is drawn."""

from collections.abc import Iterable, Sequence
from typing import Any

import streamlit as st

from dashboard import formats, session
from dashboard.address import View
from dashboard.widgets.page import token
from dashboard.widgets.row_buttons import row_button
from models import preferences
from models.contacts import quality, search
from models.contacts.table import DERIVED, EMAIL_STATUSES, FIELDS, FULL_NAME
from models.errors import InvalidInput
from models.fields import Kind
from models.filters import hidden_field, visible_fields
from models.permissions import Actor

ADDED, CHANGED = "created_at", "updated_at"
DEFAULT = (
    FULL_NAME, "title", "company", "country", "email", "email_status", "employees", "annual_revenue",
    "work_direct_phone", "city", "state", "tags", ADDED,
)  # fmt: skip
LABELS = {
    FULL_NAME: "Name",
    ADDED: "Added",
    CHANGED: "Changed",
    "id": "Number",
}
WIDTHS = {
    FULL_NAME: 125, "title": 145, "company": 145, "city": 110, "state": 110, "email": 195, "email_status": 100,
    "country": 108, "employees": 82, "annual_revenue": 82, ADDED: 95, CHANGED: 95, "industry": 150,
}  # fmt: skip
STATUS_COLOURS = {
    "Verified": "green", "Likely to engage": "green", "Extrapolated": "yellow", "Guessed": "yellow",
    "Invalid": "red", "Unavailable": "red", "Unverified": "gray",
}  # fmt: skip
CHOSEN = "contacts columns"  # the preference
OPEN, OPENED, COPIED = "open", "contact opened", "contact copied"  # the pinned column, and the keys of its clicks
COPIED_KINDS = (Kind.EMAIL, Kind.PHONE)


def offered(by: Actor) -> list[str]:
    """The columns that `by` may see, in the fields' order, the name first."""
    fields = visible_fields(by)
    named = [FULL_NAME] if set(DERIVED[FULL_NAME].parts) <= set(fields) else []
    return [*named, *fields, ADDED, CHANGED]


def chosen(columns: Iterable[str] | None, *, by: Actor) -> list[str]:
    """`columns`, or what `by` chose before, or the default set. Raises InvalidInput for one that does not exist,
    NotAllowed for one that is hidden."""
    known = offered(by)
    if columns is None:
        wanted = session.once(CHOSEN, lambda: preferences.get(CHOSEN, by=by)) or DEFAULT
        return [name for name in wanted if name in known] or known[:1]  # what was chosen may be hidden by now
    if hidden := next((name for name in needed(columns) if name in FIELDS and name not in known), None):
        raise hidden_field(hidden)
    if unknown := [name for name in columns if name not in known]:
        raise InvalidInput(f"There is no column “{unknown[0]}”. Columns are: {', '.join(known)}.")
    return list(dict.fromkeys(columns))


def of_view(view: View, *, by: Actor) -> list[str]:
    """The columns that the view has; where its address names none, the fields that its rules of quality look into stand
    beside the name. Raises what `chosen` does."""
    shown = chosen(view.columns, by=by)
    if view.columns is not None:
        return shown
    rules = [name for one in view.filters.filters if one.field.kind is Kind.CHECK for name in one.values]
    known, named = offered(by), DERIVED[FULL_NAME].parts if FULL_NAME in shown else ()
    fields = [field for name in rules for field in quality.fields_of(quality.named()[name])]
    beside = [field for field in fields if field in known and field not in named]
    return list(dict.fromkeys([*shown[:1], *beside, *shown[1:]]))


def choose(columns: Iterable[str], *, by: Actor) -> None:
    """Remember the columns for the person, wherever they sign in; none, or the default ones, forget the choice."""
    picked = list(columns)
    standard = [name for name in DEFAULT if name in offered(by)]
    if picked in ([], standard):
        preferences.forget(CHOSEN, by=by)
    else:
        preferences.put(CHOSEN, picked, by=by)


def needed(columns: Iterable[str]) -> list[str]:
    """What has to be read for `columns`: the name's parts for the name."""
    return list(
        dict.fromkeys(part for name in columns for part in (DERIVED[name].parts if name in DERIVED else (name,)))
    )


def sorted_by(name: str) -> str:
    """The field whose order a column stands in."""
    return search.SORTED_BY.get(name, name)


def label(name: str) -> str:
    """What screens call a field, a column, or the system's own number of a contact."""
    if name in LABELS:
        return LABELS[name]
    return FIELDS[name].title


def cell(name: str, row: dict[str, Any]) -> Any:
    """The value as the column's drawing takes it."""
    if name == FULL_NAME:
        return " ".join(row[part] for part in DERIVED[FULL_NAME].parts if row[part]) or None
    value = row[name]
    kind = FIELDS[name].kind if name in FIELDS else None
    if value is None:
        return None
    match kind:
        case Kind.URL:  # whatever else a file put there, a link opens a web page and runs nothing
            return value if value.startswith(("https://", "http://")) else f"https://{value}"
        case Kind.MONEY:
            return formats.compact(value)  # the grid's own would be written in another way than on the other screens
    return [value] if name == "email_status" else value


def opener(ids: Sequence[int]) -> Any:
    """The button that opens the page of the row's contact; its click, under OPENED, means the contact's id."""
    return row_button("", key=OPENED, meant=ids, width=36, type="tertiary", pinned=True)


def drawing(name: str, values: Sequence[Any]) -> Any:
    """The column's Streamlit configuration. A click on one of the `values` that are copied, under COPIED, means it."""
    config, title, width = st.column_config, label(name), WIDTHS.get(name, 140)
    if name == "email_status":
        colours = [token(f"{STATUS_COLOURS[status]}BackgroundColor") for status in EMAIL_STATUSES]
        return config.MultiselectColumn(title, width=width, options=list(EMAIL_STATUSES), color=colours)
    if name in (ADDED, CHANGED):
        return config.DatetimeColumn(title, width=width, format=formats.pattern(), timezone=formats.time_zone())
    if name == FULL_NAME:
        return config.TextColumn(title, width=width)
    match FIELDS[name].kind:
        case Kind.EMAIL | Kind.PHONE:
            return row_button(
                title, key=f"{COPIED} {name}", meant=values, width=width, type="tertiary", alignment="left",
                help="A click copies it",
            )  # fmt: skip
        case Kind.URL:
            return config.LinkColumn(title, width=width, display_text="https?://(?:www.)?(.*?)/?$")
        case Kind.WHOLE:
            return config.NumberColumn(title, width=width, format="localized")
        case Kind.MONEY:
            return config.TextColumn(f"{title}, $", width=width, alignment="right")
        case Kind.DATE:
            return config.DateColumn(title, width=width, format=formats.pattern())
        case Kind.FLAG:
            return config.CheckboxColumn(title, width=width)
        case Kind.LIST:
            return config.ListColumn(title, width=200)
    return config.TextColumn(title, width=width)
