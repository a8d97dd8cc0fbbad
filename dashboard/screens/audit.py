"""The audit log: `/audit?who=...&event=...&about=...&since=...&until=...&q=...&before=...`, newest first."""

import streamlit as st

from dashboard import formats, session
from dashboard.widgets import page
from dashboard.widgets.audit_filters import audit_filters, before, wanted
from dashboard.widgets.audit_table import SIZE, audit_table
from models import audit_log
from models.audit_log import Line, Wanted
from models.errors import InvalidInput
from models.settings import settings

TITLE, FILE = "Audit log", "/audit/log.csv"


def show() -> None:
    by = session.actor()
    try:
        with page.skeleton("audit", TITLE, 640) as place:
            chosen, last = wanted(), before()
            people = audit_log.people(by=by)
            lines, more = audit_log.page(chosen, before_id=last, size=SIZE, by=by)
    except InvalidInput as error:
        with page.empty("search_off", "This address cannot be read", error.sentence, colour="red"):
            st.button("Show all", on_click=st.query_params.clear)
        return
    with place.container():
        _screen(chosen, people, lines, more, last)


def _screen(chosen: Wanted, people: dict[str, str], lines: list[Line], more: bool, last: int | None) -> None:
    note = (
        f"Who did what, on what, from where. A line is kept for {formats.counted(settings().days_kept_audit, 'day')}."
    )
    with page.header(TITLE, note):
        file = f"{FILE}?{chosen.query()}" if chosen else FILE
        hint = "These lines, all of them, as a CSV file" if chosen else "All lines as a CSV file"
        st.link_button("Export", file, icon=":material/download:", help=hint)
    audit_filters(chosen, people)
    if lines:
        audit_table(lines, more, last)
        return
    with page.empty("search_off", "No line matches this", "Choose a longer period, or leave out a condition."):
        st.button("Show all", on_click=st.query_params.clear)
