"""The jobs that run now: how far they are, and stopping them."""

import streamlit as st

from dashboard import formats, session
from dashboard.parts import part
from dashboard.widgets import page
from dashboard.widgets.job_words import job, whom
from dashboard.widgets.page import plain
from models import flow_runs, jobs
from models.flow_runs import Run, RunState
from models.permissions import Permission

EVERY = "2s"
MOST = 20
SEEN = "jobs that were running"  # by number and state: when others run, or one has begun or ended, the page is old


def jobs_running() -> None:
    """Looks by itself; the whole page runs again when one begins or ends."""
    st.session_state.pop(SEEN, None)
    part(_running, run_every=EVERY)()


def _running() -> None:
    found = flow_runs.under_way(limit=MOST, by=session.actor())
    states = {(one.id, one.state) for one in found}
    if st.session_state.setdefault(SEEN, states) != states:
        st.rerun()
    with page.card("Running now", formats.counted(len(found), "job") if found else ""):
        if not found:
            st.caption("Nothing runs just now.")
        for one in found:
            _card(one)


def _card(one: Run) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        told = [f"**{plain(job(one.flow))}**", *([plain(one.about)] if one.about else []), plain(whom(one))]
        lasting = formats.duration(one.seconds)
        told.append(f"waits to begin, {lasting} …" if one.state is RunState.WAITING else f"for {lasting}")
        st.markdown(" · ".join(told), width="content")
        st.space("stretch")
        if session.actor().may(Permission.SERVER_MANAGE):
            stops = one.cancelled_at is not None
            label = "Stops …" if stops else "Cancel"
            st.button(
                label, icon=":material/stop_circle:", type="tertiary", disabled=stops, key=f"cancel job {one.id}",
                on_click=_cancel, args=(one.id,),
            )  # fmt: skip
    if one.step or one.done is not None:
        progress(one)


def progress(one: Run) -> None:
    """What it does now, and how far it is where that can be counted."""
    words = plain((one.step or "Working").capitalize())
    if one.done is None or not one.total:
        st.caption(f"{words} …" if one.done is None else f"{words}: {formats.number(one.done)} …")
        return
    far = f"{formats.number(one.done)} of {formats.number(one.total)}"
    st.progress(min(one.done / one.total, 1.0), text=f"{words}: {far}")


def _cancel(run_id: int) -> None:
    with page.refusals(passing=True):
        jobs.cancel(run_id, by=session.actor())
