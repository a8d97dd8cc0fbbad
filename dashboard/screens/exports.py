"""Exports: what was taken out, with its receipt, and the files while they are kept."""

import streamlit as st

from dashboard import formats, places, session
from dashboard.widgets import page
from dashboard.widgets.credits import words
from dashboard.widgets.export_progress import exports_under_way
from dashboard.widgets.export_table import export_table
from models import credits, exports
from models.credits import Balance
from models.settings import settings


def show() -> None:
    with page.skeleton("exports", "Exports", 640) as place:
        by = session.actor()
        total, balance = exports.count(by=by), credits.balance(by=by)
    with place.container():
        _screen(total, balance)


def _screen(total: int, balance: Balance) -> None:
    days = formats.counted(settings().days_kept_exports, "day")
    note = f"A file is kept for {days}, its receipt for good. You have {words(balance)}."
    with page.header("Exports", note):
        if st.button("Choose contacts", icon=":material/contacts:", type="primary", disabled=not total):
            places.go("contacts")
    if not total:
        _nothing_yet()
        return
    exports_under_way()
    export_table(total)


def _nothing_yet() -> None:
    with page.empty("download", "You have not exported anything yet", "Choose contacts, then press Export."):
        if st.button("Choose contacts", icon=":material/contacts:", key="choose"):
            places.go("contacts")
