"""Checking the data: the button, and how far a check is."""

import streamlit as st

from dashboard import flow_runs, session
from dashboard.parts import part
from dashboard.widgets import page
from dashboard.widgets.page import plain
from models import check_board, check_runs
from models.check_board import Run
from models.check_runs import STEPS, CheckState
from models.permissions import Actor

EVERY = "1s"
STARTED = "checks started"  # in this browser: a run's flow is asked for once


def run_button(newest: Run | None, *, by: Actor) -> None:
    under_way = newest is not None and newest.is_under_way
    st.button("Check now", icon=":material/fact_check:", type="primary", disabled=under_way, on_click=_ask, args=(by,))


def _ask(by: Actor) -> None:
    with page.refusals(passing=True):
        check_runs.ask(by=by)


def follow(newest: Run | None) -> None:
    """A card while it is under way; the whole page runs again when that ends. Why it failed."""
    if newest is None:
        return
    if newest.is_under_way:
        part(_card, run_every=EVERY)(newest.id)
    elif newest.state is CheckState.FAILED:
        st.error(f"The last check failed: {plain(newest.error or 'no reason was recorded.')}", icon=":material/error:")


def _card(run_id: int) -> None:
    run = check_board.get(run_id, by=session.actor())
    if not run.is_under_way:
        st.rerun()  # the whole page once more, without the clock
    if run.state is CheckState.WAITING:
        _start(run_id)
    steps = list(STEPS)
    place = steps.index(run.step) if run.step in steps else 0
    words = STEPS[steps[place]] if run.state is CheckState.RUNNING else "Waits for the scheduler"
    with page.card("Checking the data", "You can leave this page"):
        st.progress((place + 0.5) / len(steps) if run.state is CheckState.RUNNING else 0.0, text=f"{words} …")


def _start(run_id: int) -> None:
    started: set[int] = st.session_state.setdefault(STARTED, set())
    if run_id not in started and flow_runs.start_checking(run_id):
        started.add(run_id)
