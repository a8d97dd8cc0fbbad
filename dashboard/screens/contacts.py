"""Contacts: search, filters, the exact count, pages, what can be done with them."""

from datetime import datetime

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import address, cached, failures, formats, places, session, turns
from dashboard.address import View
from dashboard.widgets import columns, page
from dashboard.widgets.as_of_choice import as_of_choice, banner
from dashboard.widgets.bulk_actions import last_batch
from dashboard.widgets.contact_table import HEIGHT, contact_table, read_page
from dashboard.widgets.export_dialog import export_dialog
from dashboard.widgets.export_progress import last_export
from dashboard.widgets.facets import facets
from dashboard.widgets.filter_bar import filter_bar
from dashboard.widgets.keys import keys
from dashboard.widgets.meant import meant, meant_notice
from dashboard.widgets.mirror_notice import mirror_notice
from dashboard.widgets.view_controls import order, table_settings
from dashboard.widgets.view_dialogs import last_deleted
from dashboard.widgets.view_menu import view_menu
from models.contacts import search
from models.contacts.search import Page
from models.errors import AppError, TooSlow
from models.filters import AS_OF, Filters
from models.permissions import Actor, Permission


def show() -> None:
    by = session.actor()
    try:
        view = address.read(by=by)
        columns.of_view(view, by=by)
        moment = search.moment(view.filters, by=by)
    except AppError as error:
        _unreadable(error, by)
        return
    with st.sidebar:  # it shows nothing, and would leave a gap between the parts of the screen
        keys()
    try:
        with page.skeleton("contacts", "Contacts", 40, 598) as place:
            found = read_page(view, number=view.page, by=by)
            shown = view if found.total else meant(view, by=by)
            if shown != view:
                found = read_page(shown, number=shown.page, by=by)
    except TooSlow as error:
        with place.container():
            _too_slow(view, error, by)
        return
    with place.container():
        _screen(view, shown, moment, found, by)


def _screen(asked: View, view: View, moment: datetime | None, found: Page, by: Actor) -> None:
    """What is `asked` for and what is shown differ where nobody has a word as it is typed. `moment` is that of which
    they are; None is now."""
    note = _note(found.total, view, by)
    with turns.turn():
        with page.header("Contacts", note):
            _actions(view, found.total, by)
        if moment:
            banner(view, moment, by=by)
        filter_bar(asked, by=by)
        if view != asked:
            meant_notice(asked, view)
        last_batch()
        last_deleted()
        last_export()
        mirror_notice()
        side = _table(view, found, by)
    if side:
        with side, st.container(gap="small"):
            facets(view, by=by)
    if (
        not moment
        and by.may(Permission.CONTACTS_EDIT)
        and st.button(
            "Deleted contacts",
            icon=":material/auto_delete:",
            type="tertiary",
            help="See who was deleted, and bring back",
        )
    ):
        places.go("deleted")


def _too_slow(view: View, error: TooSlow, by: Actor) -> None:
    """What was asked for stays in sight, so that it can be narrowed."""
    with page.header("Contacts", f"**{formats.MISSING}** contacts"):
        pass
    filter_bar(view, by=by)
    mirror_notice()
    failures.show(error, height=HEIGHT)


def _note(total: int, view: View, by: Actor) -> str:
    everything = cached.everything(view.filters.as_of, by=by) if view.filters else total
    if total < everything:
        return f"**{formats.number(total)}** of {formats.number(everything)} contacts"
    return f"**{formats.number(total)}** contacts"


def _actions(view: View, total: int, by: Actor) -> None:
    _facet_switch()
    as_of_choice(view, by=by)
    order(view, by=by)
    table_settings(view, by=by)
    view_menu(view, by=by)
    if st.button("", icon=":material/monitoring:", key="to overview", help="These contacts in numbers and charts"):
        places.go("overview", address.query_params(view))
    may_create = by.may(Permission.CONTACTS_EDIT) and not view.filters.as_of
    if may_create and st.button("New", icon=":material/person_add:", help="Create a contact"):
        places.go("contact", {"new": "1"})
    if by.may(Permission.CONTACTS_EXPORT) and st.button(
        "Export", icon=":material/download:", type="primary", disabled=total == 0
    ):
        export_dialog(view, total)


def _facet_switch() -> None:
    remembered = session.remembered()

    def switch() -> None:
        remembered.facets_open = not remembered.facets_open

    icon = ":material/right_panel_close:" if remembered.facets_open else ":material/right_panel_open:"
    st.button("", icon=icon, key="facet switch", help="Show or hide the facets", on_click=switch)


def _table(view: View, found: Page, by: Actor) -> DeltaGenerator | None:
    """Draws the table; where the facets stand beside it, which are counted once the rows are there."""
    facets_open = session.remembered().facets_open and bool(view.filters or found.total)
    wall = st.grid(5, min_column_width=180, gap="small")  # the facets fall below the table where it is narrow
    table, side = wall.cell(column_span=4 if facets_open else 5), wall.cell() if facets_open else None
    with table:
        contact_table(view, [found])
    return side


def _unreadable(error: AppError, by: Actor) -> None:
    with page.header("Contacts"):
        pass
    rest = [pair for pair in address.readable(by=by) if pair[0] != AS_OF]
    icon, told = failures.of_address(error, "show")
    with page.empty(icon, told, error.sentence, colour="red"), st.container(horizontal=True, width="content"):
        if rest:
            anew = View(Filters()), rest
            st.button("Go by the rest of it", on_click=address.filter_anew, args=anew, kwargs={"by": by})
        st.button("Show all contacts", on_click=address.forget)
