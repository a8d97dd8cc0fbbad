"""How the table looks: its order, its columns, the height of its rows, how many stand on a page."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import streamlit as st

from dashboard import address, session
from dashboard.address import View
from dashboard.widgets import columns
from models import preferences
from models.contacts import search
from models.contacts.table import FIELDS
from models.fields import Kind
from models.filters import visible_fields
from models.permissions import Actor

ROW_HEIGHTS = {"Compact": 28, "Normal": 32, "Roomy": 40}  # pixels
PAGE_SIZES = (25, 50, 100, 200)
STYLE = "contacts style"  # the preference
SYSTEM = {"id": "When it came in", "created_at": "Added", "updated_at": "Last change"}


@dataclass(frozen=True)
class Style:
    density: str = "Normal"
    size: int = 50

    @property
    def row_height(self) -> int:
        return ROW_HEIGHTS[self.density]


def style(*, by: Actor) -> Style:
    """What the person chose last."""
    stored = session.once(STYLE, lambda: preferences.get(STYLE, by=by)) or {}
    found = Style(stored.get("density", "Normal"), stored.get("size", 50))
    return found if found.density in ROW_HEIGHTS and found.size in PAGE_SIZES else Style()


def order(view: View, *, by: Actor) -> None:
    """Any field that `by` may see, either way."""
    offered = [*SYSTEM, *(name for name in visible_fields(by) if FIELDS[name].kind is not Kind.LIST)]
    field, backwards = view.sort.removeprefix("-"), view.sort.startswith("-")

    def reorder() -> None:
        sign = "-" if st.session_state["order way"] == "Z–A" else ""
        address.write(replace(view, sort=sign + st.session_state["order field"], page=1))

    st.session_state["order field"] = field
    st.session_state["order way"] = "Z–A" if backwards else "A–Z"
    with st.popover(_order_label(view.sort), icon=":material/sort:", help="The order of the rows"):
        st.selectbox(
            "Order by",
            list(dict.fromkeys([*offered, field])),
            key="order field",
            format_func=_field_label,
            on_change=reorder,
        )
        st.segmented_control(
            "Direction", ["A–Z", "Z–A"], key="order way", required=True, format_func=_way(field), on_change=reorder
        )
        st.caption("A click on a column's header does the same; a second one turns it round.")


def _way(field: str) -> Callable[[str], str]:
    kind = FIELDS[field].kind if field in FIELDS else Kind.DATE
    if kind in (Kind.WHOLE, Kind.MONEY):
        return {"A–Z": "Lowest first", "Z–A": "Highest first"}.__getitem__
    if kind is Kind.DATE:
        return {"A–Z": "Oldest first", "Z–A": "Newest first"}.__getitem__
    return {"A–Z": "A–Z", "Z–A": "Z–A"}.__getitem__


def _order_label(sort: str) -> str:
    if sort == search.NEWEST_FIRST:
        return "Newest first"
    arrow = "↓" if sort.startswith("-") else "↑"
    return f"{_field_label(sort.removeprefix('-'))} {arrow}"


def _field_label(name: str) -> str:
    return SYSTEM.get(name) or columns.label(name)


def table_settings(view: View, *, by: Actor) -> None:
    """Columns, density and page size: kept for the person, not in the address; the columns of a saved view are its
    own."""
    hidden = len(FIELDS) - len(visible_fields(by))
    now = style(by=by)

    def pick() -> None:
        if view.saved is not None:
            address.write(replace(view, columns=tuple(st.session_state.columns) or None))
            return
        columns.choose(st.session_state.columns, by=by)
        address.write(replace(view, columns=None))

    def reset() -> None:
        if view.saved is None:
            columns.choose((), by=by)
        address.write(replace(view, columns=None))

    def restyle() -> None:
        size = st.session_state["page size"]
        preferences.put(STYLE, {"density": st.session_state.density, "size": size}, by=by)
        if size != now.size:
            address.write(replace(view, page=1))

    with st.popover("Columns", icon=":material/view_column:"):
        st.session_state.columns = columns.chosen(view.columns, by=by)
        st.session_state.density, st.session_state["page size"] = now.density, now.size
        st.multiselect(
            "Shown, in this order", columns.offered(by), key="columns", format_func=columns.label, on_change=pick
        )
        st.button("Back to the standard columns", type="tertiary", on_click=reset)
        st.segmented_control("Row height", list(ROW_HEIGHTS), key="density", required=True, on_change=restyle)
        st.segmented_control("Contacts on a page", PAGE_SIZES, key="page size", required=True, on_change=restyle)
        if hidden:
            st.caption(f"{hidden} of {len(FIELDS)} fields are hidden for you; an administrator can show them.")
