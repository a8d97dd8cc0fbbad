"""Housekeeping: how full the disks are, what is kept for how long, what holds the room, and what tables want."""

import streamlit as st

from dashboard import formats, session
from dashboard.widgets import job_follow, page
from dashboard.widgets.house_charts import free_space, sizes
from dashboard.widgets.house_tables import advice, kept, tables
from dashboard.widgets.page import plain
from models.house import reports, standing
from models.house.reports import Listed, Made
from models.house.standing import Standing
from models.permissions import Permission

TITLE = "Housekeeping"


def show() -> None:
    by = session.actor()
    with page.skeleton("housekeeping", TITLE, 110, 400, 250) as place:
        found, before = standing.now(by=by), reports.listed(by=by)
    with place.container():
        with page.header(TITLE, _note(found.latest)):
            if by.may(Permission.SERVER_MANAGE):
                _button()
        job_follow.follow(reports.FLOW)
        for alert in found.alerts:
            st.error(plain(alert), icon=":material/hard_drive:")
        _numbers(found)
        if found.latest is not None:
            advice(found.latest.report)
        kept(found.kept)
        if found.latest is None:
            body = "A round takes stock every night, and now where somebody asks for it."
            with page.empty("cleaning_services", "No round yet", body):
                pass
            return
        _charts(before)
        tables(found.latest.report)


def _note(made: Made | None) -> str:
    if made is None:
        return "How full the disks are, and what is kept for how long."
    return f"Last round {formats.moment(made.made_at)} · on {made.host}"


def _button() -> None:
    busy = job_follow.is_busy(reports.FLOW)
    st.button(
        "Keep house now", icon=":material/cleaning_services:", type="primary", disabled=busy, on_click=job_follow.ask,
        args=(reports.FLOW,),
    )  # fmt: skip


def _numbers(found: Standing) -> None:
    told = [(f"Free of {formats.size(one.total)}", formats.size(one.free), plain(one.holds)) for one in found.disks]
    if found.latest is not None:
        report = found.latest.report
        largest = report.tables[0].name if report.tables else "–"
        removed = sum(one.removed or 0 for one in report.kept)
        told += [
            ("Database", formats.size(report.database_bytes), plain(f"{largest} is the largest table")),
            ("Stored files", formats.size(_files(found.latest)), "uploads, working copies and exports"),
            ("Removed", formats.number(removed), "rows and files, by the last round"),
            ("Advice", formats.number(len(report.advice)), "tables that wanted care"),
        ]
    with st.grid(min(len(told), 5), min_column_width=150, border=True):
        for label, value, note in told:
            with st.container(gap="xxsmall"):
                st.metric(label, value)
                st.caption(note)


def _files(made: Made) -> int:
    return sum(one.bytes for one in made.report.folders if one.name in ("imports", "exports"))


def _charts(before: list[Listed]) -> None:
    oldest_first = list(reversed(before))
    wall = st.grid(2, min_column_width=320, border=True)
    with wall.cell():
        free_space(oldest_first)
    with wall.cell():
        sizes(oldest_first)
