"""What became of a job that a screen's button asked for: how far it is, above what its last run left."""

import streamlit as st

from dashboard import session
from dashboard.parts import part
from dashboard.widgets import page
from dashboard.widgets.job_words import job
from dashboard.widgets.jobs_running import progress
from dashboard.widgets.page import plain
from models import flow_runs, jobs
from models.flow_runs import Run, RunState

EVERY = "2s"
FOLLOWED = "followed jobs"  # in this browser: a flow -> the run that was asked for


def ask(flow: str) -> None:
    """Have it run, and follow that. For a button's callback; a refusal is a toast."""
    by = session.actor()
    with page.refusals(passing=True):
        _followed()[flow] = jobs.run(flow, by=by)


def is_busy(flow: str) -> bool:
    """Whether it runs, or was asked for here and did not begin yet."""
    newest = _newest(flow)
    runs = newest is not None and newest.state not in jobs.ENDED
    return runs or (flow in _followed() and not _is_over(flow, newest))


def follow(flow: str) -> None:
    """A card while it waits or runs; the whole page runs again once that is over. Why the one asked for here failed."""
    newest = _newest(flow)
    if _is_over(flow, newest):
        _followed().pop(flow)
        if newest is not None and newest.state in jobs.ENDED_BADLY:
            why = f": {newest.error}" if newest.error else "."
            st.error(plain(f"{job(flow)} {newest.state}{why}"), icon=":material/error:")
    elif is_busy(flow):
        part(_card, run_every=EVERY)(flow)


def _card(flow: str) -> None:
    newest = _newest(flow)
    if _is_over(flow, newest) or not is_busy(flow):
        st.rerun()  # the whole page once more, without the clock
    with page.card(job(flow), "You can leave this page"):
        if newest is None or newest.state is not RunState.RUNNING:
            st.caption("It begins within seconds …")
        else:
            progress(newest)


def _is_over(flow: str, newest: Run | None) -> bool:
    """Whether the run that was asked for here has ended."""
    asked = _followed().get(flow)
    return asked is not None and newest is not None and newest.id >= asked and newest.state in jobs.ENDED


def _newest(flow: str) -> Run | None:
    return next(iter(flow_runs.page(flow=flow, limit=1, by=session.actor())), None)


def _followed() -> dict[str, int]:
    found: dict[str, int] = st.session_state.setdefault(FOLLOWED, {})
    return found
