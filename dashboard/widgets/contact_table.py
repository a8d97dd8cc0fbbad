"""One page of contacts with its pager and what can be done with the ticked rows: a fragment, which reruns alone."""

from dataclasses import dataclass, replace

import pandas as pd
import streamlit as st

from dashboard import address, formats, places, session
from dashboard.address import View
from dashboard.parts import part
from dashboard.widgets import columns, page
from dashboard.widgets.bulk_actions import bulk_actions
from dashboard.widgets.clipboard import copy_now
from dashboard.widgets.contact_link import open_contact
from dashboard.widgets.meant import nobody, offer
from dashboard.widgets.row_buttons import clicked
from dashboard.widgets.view_controls import Style, style
from models.contacts import search
from models.contacts.search import Page
from models.contacts.table import FIELDS
from models.fields import Kind
from models.permissions import Actor, Permission

HEIGHT = 598
MOST_PAGES = 7  # in the pager, beside its arrows
OPEN_SIGN = ":material/open_in_full:"


@dataclass(frozen=True)
class Ticked:
    """What a person marked in the table: rows by their ids, and a column whose header was clicked."""

    ids: frozenset[int]
    column: str | None


def read_page(view: View, *, number: int, by: Actor) -> Page:
    """The rows that the table shows, and how many match; a number behind the last page is the last."""
    needed = columns.needed(columns.of_view(view, by=by))
    size = style(by=by).size

    def read(wanted: int) -> Page:
        return search.page(view.filters, columns=needed, sort=view.sort, number=wanted, size=size, by=by)

    found = read(number)
    return read(found.pages) if number > found.pages else found


@part
def contact_table(view: View, read: list[Page]) -> None:
    """The rows of `view`. `read` holds the page that the screen has read already; a rerun of this part alone takes
    another, for it comes when the pager was used.
    """
    by = session.actor()
    found = read.pop() if read else read_page(view, number=address.page(), by=by)
    _keep_basket(view)
    if not found.total:
        _nothing(view, by)
        return
    ticked = _rows(view, found, style(by=by), by)
    basket = _put_into_basket(view, found, ticked.ids, by)
    _follow_clicks(view)
    if ticked.column:
        _sort_by(view, ticked.column)
    _below(view, found, tuple(sorted(basket)), by)


def _nothing(view: View, by: Actor) -> None:
    if meant := offer(view, by=by):
        told = f"One letter may be wrong: contacts have “{meant}”."
        with page.empty("search_off", nobody(view), told, height=HEIGHT):
            inexact = (replace(view, exact=False, page=1),)
            st.button(f"Show “{page.plain(meant)}”", type="primary", on_click=address.write, args=inexact)
        return
    if view.filters or view.filters.as_of:
        is_searched = bool(view.filters.q) and not view.filters.filters and not view.filters.as_of
        told = ("No contact matches all of these", "Remove a filter above, or start again.", "Clear all filters")
        if is_searched:
            told = (nobody(view), "Look at how it is written, or search for a part of it.", "Clear the search")
        title, hint, out = told
        with page.empty("search_off", title, hint, height=HEIGHT):
            st.button(out, on_click=address.clear_filters, args=(view,))
        return
    may = by.may(Permission.IMPORTS_RUN)
    hint = "Import a file, or create the first contact by hand." if may else "A manager imports the first file."
    with page.empty("group_off", "There are no contacts yet", hint, height=HEIGHT):
        if may and st.button("Import a file", icon=":material/upload_file:"):
            places.go("imports")


def _rows(view: View, found: Page, looks: Style, by: Actor) -> Ticked:
    """Draws the table."""
    shown = columns.of_view(view, by=by)
    table = pd.DataFrame(
        [{columns.OPEN: OPEN_SIGN, **{name: columns.cell(name, row) for name in shown}} for row in found.rows]
    )
    ids = [row["id"] for row in found.rows]
    key = f"contacts {hash((tuple(ids), view.sort, session.remembered().selections))}"  # ticks belong to rows
    marked = st.dataframe(
        table,
        key=key,
        on_select="rerun",
        # With columns selectable a header's click reaches us: the grid alone would sort just the rows of this page.
        # Nothing can be done with contacts as they were, so none is ticked.
        selection_mode="single-column" if view.filters.as_of else ["multi-row", "single-column"],
        selection_default=None if view.filters.as_of else {"selection": {"rows": _ticked_before(key, ids)}},
        height=HEIGHT,
        row_height=looks.row_height,
        hide_index=True,
        placeholder="–",
        column_order=[columns.OPEN, *shown],
        column_config={columns.OPEN: columns.opener(ids)}
        | {name: columns.drawing(name, [row.get(name) for row in found.rows]) for name in shown},
        alt="Contacts that match the filters",
    ).selection
    places_ticked = [place for place in marked.rows if place < len(ids)]
    return Ticked(frozenset(ids[place] for place in places_ticked), next(iter(marked.columns), None))


def _ticked_before(table: str, ids: list[int]) -> list[int]:
    """The rows that are ticked already when the table is painted first, or anew after another page or screen; later
    ones would make it another table."""
    remembered = session.remembered()
    if remembered.table[0] != table or table not in st.session_state:  # what is not painted, Streamlit forgets
        remembered.table = (table, [place for place, one in enumerate(ids) if one in remembered.basket[1]])
    return remembered.table[1]


def _keep_basket(view: View) -> None:
    """What was ticked stays ticked on every page of one filter; with another filter it begins anew."""
    if session.remembered().basket[0] != view.filters.query():
        session.remembered().basket = (view.filters.query(), frozenset())


def _put_into_basket(view: View, found: Page, ticked: frozenset[int], by: Actor) -> frozenset[int]:
    """Ticks of this page in place of its former ones, beside those of other pages that still match."""
    query, before = session.remembered().basket
    others = before - {row["id"] for row in found.rows}
    ids = (search.those_of(view.filters, others, by=by) if others else others) | ticked
    session.remembered().basket = (query, ids)
    return ids


def _follow_clicks(view: View) -> None:
    """A click on a row's open sign leaves for its page; one on an e-mail or a phone number copies it."""
    if opened := clicked(columns.OPENED):
        open_contact(view, opened[0])
    for name, field in FIELDS.items():
        if field.kind in columns.COPIED_KINDS and (copied := clicked(f"{columns.COPIED} {name}")):
            copy_now(copied[0])


def _sort_by(view: View, column: str) -> None:
    """Numbers and moments from the highest, all else from A; the same header again turns it round."""
    field = columns.sorted_by(column)
    if column == columns.OPEN or (field in FIELDS and FIELDS[field].kind is Kind.LIST):
        session.remembered().selections += 1  # unmarks the column: there is no order of lists
        st.rerun()
    falling = field not in FIELDS or FIELDS[field].kind in (Kind.WHOLE, Kind.MONEY, Kind.DATE)
    first, second = (f"-{field}", field) if falling else (field, f"-{field}")
    address.write(replace(view, sort=second if view.sort == first else first, page=1))
    session.remembered().selections += 1
    st.rerun()


def _below(view: View, found: Page, ids: tuple[int, ...], by: Actor) -> None:
    """One row for the place in the list, or what can be done with the ticked rows: nothing jumps."""
    pager = _pager_key(found.number)

    def turn() -> None:
        address.write(replace(view, page=st.session_state[pager]))

    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", height=40, border=False
    ):
        if ids:
            bulk_actions(view, found, ids, by=by)
        else:
            session.remembered().whole = None  # nothing is ticked: no later tick may stand for all of them
            first = (found.number - 1) * found.size + 1
            last = first + len(found.rows) - 1
            span = f"{formats.number(first)}–{formats.number(last)}"
            st.caption(f"{span} of {formats.number(found.total)}", width="content")
        # Its own width: with "content" Streamlit measures too little room, and shows 1 page of 2.
        most = 5 if ids else MOST_PAGES
        width = 40 * (min(found.pages, most) + 2)
        st.pagination(found.pages, default=found.number, key=pager, max_visible_pages=most, width=width, on_change=turn)


def _pager_key(number: int) -> str:
    """A new pager wherever the address says another page than the pager (back button, new filters).

    It takes a number only as its default: setting its state as well makes Streamlit warn.
    """
    remembered = session.remembered()
    if st.session_state.get(f"pager {remembered.pagers}", number) != number:
        remembered.pagers += 1
    return f"pager {remembered.pagers}"
