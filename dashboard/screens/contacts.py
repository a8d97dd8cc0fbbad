"""Contacts: search, filters, the exact count, pages, export."""

import streamlit as st

from dashboard import address, cached, session
from dashboard.address import View
from dashboard.widgets import columns, page
from dashboard.widgets.contact_table import contact_table
from dashboard.widgets.export_dialog import export_dialog
from dashboard.widgets.export_progress import last_export
from dashboard.widgets.facets import facets
from dashboard.widgets.filter_bar import filter_bar
from dashboard.widgets.view_controls import column_picker, order
from models.contacts import search
from models.errors import AppError
from models.permissions import Actor, Permission


def show() -> None:
    by = session.actor()
    try:
        view = address.read(by=by)
        columns.chosen(view.columns, by=by)
    except AppError as error:
        _unreadable(error)
        return
    total = search.count(view.filters, by=by)
    with page.header("Contacts", _note(total, cached.everything(by=by))):
        _actions(view, total, by)
    filter_bar(view, by=by)
    last_export()
    _table_and_facets(view, by)


def _note(total: int, everything: int) -> str:
    return f"**{total:,}** of {everything:,} contacts" if total < everything else f"**{total:,}** contacts"


def _actions(view: View, total: int, by: Actor) -> None:
    order(view, by=by)
    column_picker(view, by=by)
    _facet_switch()
    if by.may(Permission.CONTACTS_EXPORT) and st.button(
        "Export", icon=":material/download:", type="primary", disabled=total == 0
    ):
        export_dialog(view, total)


def _facet_switch() -> None:
    remembered = session.remembered()

    def switch() -> None:
        remembered.facets_open = not remembered.facets_open

    icon = ":material/right_panel_close:" if remembered.facets_open else ":material/right_panel_open:"
    st.button("", icon=icon, key="facet switch", help="Show or hide the filters", on_click=switch)


def _table_and_facets(view: View, by: Actor) -> None:
    facets_open = session.remembered().facets_open
    wall = st.grid(5, min_column_width=180, gap="small")  # the facets fall below the table where it is narrow
    table = wall.cell(column_span=4 if facets_open else 5)
    if facets_open:
        with wall.cell(), st.container(gap="small"):
            facets(view, by=by)
    with table:
        contact_table(view)


def _unreadable(error: AppError) -> None:
    with page.header("Contacts"):
        pass
    with page.empty("link_off", "This address does not say which contacts to show", error.sentence, colour="red"):
        st.button("Show all contacts", on_click=address.forget)
