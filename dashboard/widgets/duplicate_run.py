"""Looking for duplicates: the button, how far a search is, the numbers of the last one."""

import streamlit as st

from dashboard import flow_runs, formats, session
from dashboard.parts import part
from dashboard.widgets import page
from dashboard.widgets.page import plain
from models.duplicates import runs
from models.duplicates.tables import UNDER_WAY, DuplicateRun, State
from models.permissions import Actor

EVERY = "1s"
STARTED = "searches started"  # in this browser: a run's flow is asked for once


def run_button(newest: DuplicateRun | None, *, by: Actor) -> None:
    under_way = newest is not None and newest.state in UNDER_WAY
    label = "Look for duplicates" if newest is None else "Look again"
    st.button(label, icon=":material/search:", type="primary", disabled=under_way, on_click=_ask, args=(by,))


def _ask(by: Actor) -> None:
    with page.refusals(passing=True):
        runs.ask(by=by)


def follow(newest: DuplicateRun | None) -> None:
    """A card while it is under way; the whole page runs again when that ends. Why it failed."""
    if newest is None:
        return
    if newest.state in UNDER_WAY:
        part(_card, run_every=EVERY)(newest.id)
    elif newest.state == State.FAILED:
        st.error(f"The last search failed: {plain(newest.error or 'no reason was recorded.')}", icon=":material/error:")


def _card(run_id: int) -> None:
    by = session.actor()
    run = runs.get(run_id, by=by)
    if run.state not in UNDER_WAY:
        st.rerun()  # the whole page once more, without the clock
    if run.state == State.WAITING:
        _start(run_id)
    steps = list(runs.STEPS)
    place = steps.index(run.step) if run.step in steps else 0
    words = runs.STEPS[steps[place]] if run.state == State.RUNNING else "Waits for the scheduler"
    with page.card("Looking for duplicates", "You can leave this page"):
        st.progress((place + 0.5) / len(steps) if run.state == State.RUNNING else 0.0, text=f"{words} …")
        if st.button("Stop", icon=":material/stop_circle:"):
            with page.refusals(passing=True):  # it ended just before
                runs.cancel(run_id, by=by)
                st.rerun()


def _start(run_id: int) -> None:
    started: set[int] = st.session_state.setdefault(STARTED, set())
    if run_id not in started and flow_runs.start_finding(run_id):
        started.add(run_id)


def last_numbers(run: DuplicateRun) -> None:
    with st.grid(4, min_column_width=150, gap="small", border=True) as wall:
        for label, value, told in (
            ("Contacts compared", formats.number(run.contacts), f"{formats.counted(run.compared, 'pair')} weighed"),
            ("Possible pairs", formats.number(run.pairs), _left_out(run)),
            ("Groups of the same", formats.number(run.clusters), "contacts that hang together"),
            ("Last search", formats.day(run.finished_at), f"took {formats.duration(run.seconds)}"),
        ):
            with wall.cell():
                st.metric(label, value)
                st.caption(told)


def _left_out(run: DuplicateRun) -> str:
    return f"the {formats.number(run.left_out)} weakest left out" if run.left_out else "found by that search"
