"""Data quality: each rule in words with its trend, the rows that break it, and how full each field is."""

import streamlit as st

from dashboard import formats, session
from dashboard.widgets import page
from dashboard.widgets.file_download import download_now
from dashboard.widgets.page import plain
from dashboard.widgets.quality_fields import fields_table
from dashboard.widgets.quality_rules import rules_table
from dashboard.widgets.quality_run import follow, run_button
from models import check_board
from models.check_board import Board, Run
from models.permissions import Actor, Permission

TITLE = "Data quality"
NOTE = "What good data looks like, rule by rule, and what is not so."
REPORTS = {"html": "Report", "csv": "CSV"}


def show() -> None:
    by = session.actor()
    with page.skeleton("quality", TITLE, 90, 520) as place:
        board, newest = check_board.board(by=by), check_board.newest(by=by)
    with place.container():
        with page.header(TITLE, _note(board.run)):
            if board.run:
                _downloads()
            if by.may(Permission.CHECKS_RUN):
                run_button(newest, by=by)
        follow(newest)
        if board.run is None:
            if newest is None or not newest.is_under_way:
                _nothing_yet(by)
            return
        _metrics(board, board.run)
        rules_table(board.rules)
        fields_table(board.completeness)


def _note(run: Run | None) -> str:
    if run is None:
        return NOTE
    whom = f", asked for by {plain(run.asked_by)}" if run.asked_by else ""
    return f"Checked {formats.moment(run.finished_at)}{whom}"


def _downloads() -> None:
    for kind, label in REPORTS.items():
        if st.button(label, icon=":material/download:", help=f"What stands here, as {kind.upper()}"):
            download_now(f"/quality/report.{kind}")


def _metrics(board: Board, run: Run) -> None:
    failing, tolerated = (sum(one.last.failing for one in rules) for rules in (board.rules, board.tolerated))
    of = formats.counted(run.tolerated, "rule")
    within = f"{formats.number(tolerated)} within the tolerance of {of}" if tolerated else "none tolerated"
    with st.grid(4, min_column_width=150, gap="small", border=True) as wall:
        for label, value, told in (
            ("Broken rules", formats.number(run.broken), f"of {formats.number(run.rules)}"),
            ("Failing values", formats.number(failing), within if failing else "nothing breaks a rule"),
            ("Contacts checked", formats.number(run.contacts), _others(run)),
            ("The check took", formats.duration(run.seconds or 0), formats.moment(run.finished_at)),
        ):
            with wall.cell():
                st.metric(label, value)
                st.caption(told)


def _others(run: Run) -> str:
    told = [formats.counted(run.industries, "industry", "industries")] if run.industries is not None else []
    told += [formats.counted(run.payments, "payment")] if run.payments is not None else []
    return " and ".join(told) or "all that there are"


def _nothing_yet(by: Actor) -> None:
    may = by.may(Permission.CHECKS_RUN)
    body = "Press “Check now”, or wait for the night." if may else "It is checked every night, or when a manager asks."
    with page.empty("fact_check", "Nobody has checked the data yet", body):
        pass
