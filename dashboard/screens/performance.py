"""Performance: what the last report found, and what it was found from."""

import streamlit as st

from dashboard import formats, session
from dashboard.widgets import job_follow, page
from dashboard.widgets.mirror_notice import mirror_card
from dashboard.widgets.performance_charts import growth, statements_chart, waited
from dashboard.widgets.performance_findings import findings
from dashboard.widgets.performance_tables import tables
from models.performance import reports
from models.performance.reports import Listed, Made
from models.permissions import Permission

TITLE, FILE = "Performance", "/performance/report.html"
MAILED = "performance mailed"  # the control


def show() -> None:
    by = session.actor()
    with page.skeleton("performance", TITLE, 110, 250, 400) as place:
        made, before = reports.latest(by=by), reports.listed(by=by)
        mailed = reports.is_mailed(by=by)
    with place.container():
        with page.header(TITLE, _note(made)):
            _actions(made, mailed)
        job_follow.follow(reports.FLOW)
        if made is None:
            with page.empty("speed", "No report yet", "One is made every day, and now where somebody asks for it."):
                pass
            mirror_card()
            return
        _numbers(made)
        mirror_card()
        findings(made.report)
        _charts(made, before)
        tables(made.report)


def _note(made: Made | None) -> str:
    if made is None:
        return "What is slow, who waits for it, and what would help."
    since = made.report.statements_since
    counted = f", statements since {formats.moment(since)}" if since else ""
    return f"As of {formats.moment(made.made_at)} · the last {made.report.days:.0f} days{counted}"


def _actions(made: Made | None, mailed: bool) -> None:
    by = session.actor()
    st.session_state[MAILED] = mailed
    st.toggle(
        "Mail it to me", key=MAILED, on_change=_have_mailed, help="Each one that is made by schedule, as a page of text"
    )
    if made is not None:
        st.link_button("Download", FILE, icon=":material/download:", help="As a page that opens offline")
    if by.may(Permission.SERVER_MANAGE):
        st.button(
            "Make one now", icon=":material/refresh:", type="primary", disabled=job_follow.is_busy(reports.FLOW),
            on_click=job_follow.ask, args=(reports.FLOW,),
        )  # fmt: skip


def _have_mailed() -> None:
    with page.refusals(passing=True):
        reports.have_mailed(st.session_state[MAILED], by=session.actor())


def _numbers(made: Made) -> None:
    of = made.report.server
    hit = formats.share(of.cache_hit, 1) if of.cache_hit is not None else "–"
    longest = max((one.seconds for one in made.report.transactions), default=0.0)
    told = [
        ("Findings", formats.number(len(made.report.findings)), "that somebody should look at"),
        ("Database", formats.size(of.database_bytes), f"PostgreSQL {page.plain(of.version)}"),
        ("Read from memory", hit, "of all blocks"),
        ("Connections", formats.number(of.connections), f"of {formats.number(of.most_connections)}"),
    ]
    if longest:
        told.append(("Open for longest", formats.duration(longest), "of transactions over a minute"))
    with st.grid(len(told), min_column_width=150, border=True):
        for label, value, note in told:
            with st.container(gap="xxsmall"):
                st.metric(label, value)
                st.caption(note)


def _charts(made: Made, before: list[Listed]) -> None:
    wall = st.grid(2, min_column_width=320, border=True)
    with wall.cell():
        waited(made.report.hours)
    with wall.cell():
        growth(list(reversed(before)))
    if made.report.statements:
        with st.container(border=True):
            statements_chart(made.report.statements)
