"""The order of the rows and the choice of columns."""

from dataclasses import replace

import streamlit as st

from dashboard import address
from dashboard.address import View
from dashboard.widgets import columns
from models.contacts import search
from models.contacts.table import FIELDS
from models.filters import visible_fields
from models.permissions import Actor

ORDERS = {
    search.NEWEST_FIRST: "Newest first",
    "id": "Oldest first",
    "-updated_at": "Last changed first",
    "last_name": "Last name, A–Z",
    "company": "Company, A–Z",
    "-employees": "Most employees first",
    "-annual_revenue": "Highest revenue first",
}


def order(view: View, *, by: Actor) -> None:
    seen = {*visible_fields(by), *search.SORTABLE_SYSTEM}
    offered = [sort for sort in ORDERS if sort.removeprefix("-") in seen]

    def reorder() -> None:
        address.write(replace(view, sort=st.session_state.sort, page=1))

    st.session_state.sort = view.sort
    st.selectbox(
        "Order",
        list(dict.fromkeys([*offered, view.sort])),
        key="sort",
        format_func=_order_label,
        label_visibility="collapsed",
        width=190,
        on_change=reorder,
    )


def _order_label(sort: str) -> str:
    if sort in ORDERS:
        return ORDERS[sort]
    name = sort.removeprefix("-")
    label = columns.label(name) if name in FIELDS else name
    return f"{label}, {'descending' if sort.startswith('-') else 'ascending'}"


def column_picker(view: View, *, by: Actor) -> None:
    offered = columns.offered(by)
    hidden = len(FIELDS) - len(visible_fields(by))

    def pick() -> None:
        picked = tuple(st.session_state.columns)
        standard = not picked or picked == tuple(columns.chosen(None, by=by))
        address.write(replace(view, columns=None if standard else picked))

    def reset() -> None:
        address.write(replace(view, columns=None))

    with st.popover("Columns", icon=":material/view_column:"):
        st.session_state.columns = columns.chosen(view.columns, by=by)
        st.multiselect("Shown, in this order", offered, key="columns", format_func=columns.label, on_change=pick)
        st.button("Back to the standard columns", type="tertiary", on_click=reset, disabled=view.columns is None)
        if hidden:
            st.caption(f"{hidden} of {len(FIELDS)} fields are hidden for you; an administrator can show them.")
