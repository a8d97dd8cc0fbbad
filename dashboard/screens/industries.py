"""Industries: their names, how many contacts each has, and putting them in order."""

import streamlit as st

from dashboard import formats, session
from dashboard.widgets import page
from dashboard.widgets.industry_dialogs import create_dialog
from dashboard.widgets.industry_table import industry_table
from models import industries
from models.errors import NotAllowed
from models.industries import Industry
from models.permissions import Actor, Permission

Listing = list[tuple[Industry, int]]


def show() -> None:
    by = session.actor()
    try:
        with page.skeleton("industries", "Industries", 640) as place:
            listing = industries.listed(by=by, with_inactive=True)
            without = industries.contacts_without(by=by)
    except NotAllowed as error:
        _hidden(error)
        return
    with place.container():
        _screen(listing, without, by)


def _screen(listing: Listing, without: int, by: Actor) -> None:
    """`without` is how many contacts have no industry."""
    with page.header("Industries", "What companies do. Imports add the names they bring."):
        if by.may(Permission.INDUSTRIES_MANAGE) and st.button("New", icon=":material/add:", type="primary"):
            create_dialog(listing)
    if not listing:
        _nothing_yet(by)
        return
    _metrics(listing, without)
    industry_table(listing)


def _metrics(listing: Listing, without: int) -> None:
    in_use, total = sum(one.is_active for one, _ in listing), sum(number for _, number in listing)
    with st.grid(3, min_column_width=150, gap="small"):
        rest = len(listing) - in_use
        _metric("Industries in use", in_use, f"{formats.number(rest)} not in use")
        _metric("Contacts with one", total, formats.share(total, total + without))
        _metric("Contacts without", without, formats.share(without, total + without))


def _metric(label: str, number: int, beside: str) -> None:
    st.metric(label, formats.number(number), beside, delta_color="off", delta_arrow="off", border=True)


def _hidden(error: NotAllowed) -> None:
    with page.header("Industries"):
        pass
    with page.empty("visibility_off", "Industries are hidden from you", error.sentence):
        pass


def _nothing_yet(by: Actor) -> None:
    may = by.may(Permission.INDUSTRIES_MANAGE)
    hint = "Create the first one, or import a file that names some." if may else "A manager adds them, or an import."
    with page.empty("category", "There are no industries yet", hint):
        pass
