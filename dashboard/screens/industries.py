"""Industries: their names, how many contacts each has, and putting them in order."""

import streamlit as st

from dashboard import formats, session
from dashboard.widgets import page
from dashboard.widgets.industry_dialogs import create_dialog, said
from dashboard.widgets.industry_table import industry_table
from models import industries
from models.industries import Industry
from models.permissions import Actor, Permission

Listing = list[tuple[Industry, int | None]]


def show() -> None:
    by = session.actor()
    listing = industries.listed(by=by, with_inactive=True)
    with page.header("Industries", "What companies do. Imports add the names they bring."):
        if by.may(Permission.INDUSTRIES_MANAGE) and st.button("New", icon=":material/add:", type="primary"):
            create_dialog(listing)
    said()
    if not listing:
        _nothing_yet(by)
        return
    _metrics(listing, by)
    industry_table(listing)


def _metrics(listing: Listing, by: Actor) -> None:
    without = industries.contacts_without(by=by)
    if without is None:
        return
    in_use, total = sum(one.is_active for one, _ in listing), sum(number or 0 for _, number in listing)
    with st.grid(3, min_column_width=150, gap="small"):
        rest = len(listing) - in_use
        _metric("Industries in use", in_use, f"{formats.number(rest)} not in use")
        _metric("Contacts with one", total, formats.share(total, total + without))
        _metric("Contacts without", without, formats.share(without, total + without))


def _metric(label: str, number: int, beside: str) -> None:
    st.metric(label, formats.number(number), beside, delta_color="off", delta_arrow="off", border=True)


def _nothing_yet(by: Actor) -> None:
    may = by.may(Permission.INDUSTRIES_MANAGE)
    hint = "Create the first one, or import a file that names some." if may else "A manager adds them, or an import."
    with page.empty("category", "There are no industries yet", hint):
        pass
