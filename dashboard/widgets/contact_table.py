"""One page of contacts with its pager: a fragment, so that turning a page does not rerun the whole screen."""

from dataclasses import replace

import pandas as pd
import streamlit as st

from dashboard import address, session
from dashboard.address import View
from dashboard.widgets import columns, page
from dashboard.widgets.export_dialog import export_dialog
from models.contacts import search
from models.contacts.search import Page
from models.contacts.table import DERIVED
from models.permissions import Actor, Permission

PAGE_SIZE = 50
HEIGHT = 598
MOST_PAGES = 7  # in the pager, beside its arrows


@st.fragment
def contact_table(view: View) -> None:
    """The rows of `view`, starting at its page; shows what to do where none match."""
    by = session.actor()
    shown = columns.chosen(view.columns, by=by)
    needed = [part for name in shown for part in (DERIVED[name].parts if name in DERIVED else (name,))]
    number = address.page()  # not the view's: this fragment reruns alone when its pager is used
    found = search.page(view.filters, columns=needed, sort=view.sort, number=number, size=PAGE_SIZE, by=by)
    if number > found.pages:  # from an old link, or rows were deleted meanwhile
        found = search.page(view.filters, columns=needed, sort=view.sort, number=found.pages, size=PAGE_SIZE, by=by)
    if not found.total:
        _nothing(view)
        return
    chosen = _rows(found, shown)
    _below(view, found, chosen, by)


def _nothing(view: View) -> None:
    if not view.filters:
        with page.empty("group_off", "There are no contacts yet", "A manager imports the first file.", height=HEIGHT):
            return
    with page.empty(
        "search_off", "No contact matches all of these", "Remove a filter above, or start again.", height=HEIGHT
    ):
        st.button("Clear all filters", on_click=address.clear_filters, args=(view,))


def _rows(found: Page, shown: list[str]) -> list[int]:
    """Draws the table; returns the ids of the rows that are ticked."""
    table = pd.DataFrame([{name: columns.cell(name, row) for name in shown} for row in found.rows])
    ids = [row["id"] for row in found.rows]
    ticked = st.dataframe(
        table,
        key=f"contacts {hash(tuple(ids))}",  # ticks belong to rows, not to places
        on_select="rerun",
        selection_mode="multi-row",
        height=HEIGHT,
        row_height=32,
        hide_index=True,
        placeholder="–",
        column_order=shown,
        column_config={name: columns.drawing(name) for name in shown},
        alt="Contacts that match the filters",
    )
    return [ids[place] for place in ticked.selection.rows if place < len(ids)]


def _below(view: View, found: Page, chosen: list[int], by: Actor) -> None:
    """One row for the place in the list, or what can be done with the ticked rows: nothing jumps."""

    pager = _pager_key(found.number)

    def turn() -> None:
        address.write(replace(view, page=st.session_state[pager]))

    first = (found.number - 1) * found.size + 1
    last = first + len(found.rows) - 1
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", height=40, border=False
    ):
        if chosen and by.may(Permission.CONTACTS_EXPORT):
            _bulk_actions(view, chosen)
        else:
            st.caption(f"{first:,}–{last:,} of {found.total:,}", width="content")
        # Its own width: with "content" Streamlit measures too little room, and shows 1 page of 2.
        width = 40 * (min(found.pages, MOST_PAGES) + 2)
        st.pagination(
            found.pages, default=found.number, key=pager, max_visible_pages=MOST_PAGES, width=width, on_change=turn
        )


def _pager_key(number: int) -> str:
    """A new pager wherever the address says another page than the pager (back button, new filters).

    It takes a number only as its default: setting its state as well makes Streamlit warn.
    """
    remembered = session.remembered()
    if st.session_state.get(f"pager {remembered.pagers}", number) != number:
        remembered.pagers += 1
    return f"pager {remembered.pagers}"


def _bulk_actions(view: View, chosen: list[int]) -> None:
    with st.container(horizontal=True, width="content", vertical_alignment="center", gap="xsmall"):
        st.markdown(f"**{len(chosen)} selected**", width="content")
        if st.button("Export", key="export selected", icon=":material/download:"):
            export_dialog(view, len(chosen), chosen)
