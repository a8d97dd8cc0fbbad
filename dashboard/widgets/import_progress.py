"""An import under way: waiting for the scheduler, being worked on, or being stopped."""

import streamlit as st

from dashboard import formats, session
from dashboard.widgets import page
from dashboard.widgets.import_orders import cancel_dialog, carry_out, keep_dialog, start
from dashboard.widgets.page import plain
from models import import_orders, import_phases, import_progress, import_uploads, imports
from models.import_phases import Phase
from models.import_progress import Progress
from models.imports import Import, Listed, State

UNDER_WAY = (Phase.WAITING, Phase.RUNNING, Phase.STOPPING)
EVERY, AT_REST = "1s", "5s"
TITLES = {
    State.OPENED: "Reading the file",
    State.PLANNED: "Making the plan",
    State.COMMITTED: "Importing",
    State.UNDONE: "Taking the import back",
}


def follow(listed: Listed) -> None:
    """Show how far the import is, and the whole page again once it has moved on, whoever moved it."""
    phase, found = import_phases.phase(listed), listed.import_
    moving = phase in UNDER_WAY or phase is Phase.UPLOADING
    draw = st.fragment(_follow, run_every=EVERY if moving else AT_REST)
    if phase not in UNDER_WAY:
        draw(found.id, _standing(listed))
        return
    with page.card(_title(found, phase), f"Import {found.id} · you can leave this page"):
        draw(found.id, _standing(listed))
        # Not in the fragment: its next run would close the dialog.
        if phase is not Phase.STOPPING:
            _stop(found, running=phase is Phase.RUNNING)


def _follow(import_id: int, before: tuple[object, ...]) -> None:
    by = session.actor()
    listed = imports.listed(import_id, by=by)
    if _standing(listed) != before:
        st.rerun()
    found, phase = listed.import_, import_phases.phase(listed)
    if phase is Phase.WAITING:
        st.progress(0.0, text=_why_waiting(found))
    elif phase is Phase.RUNNING:
        _running(found)
    elif phase is Phase.STOPPING:
        st.progress(0.0, text="It stops within seconds, and nothing of it is written.")
    elif phase is Phase.UPLOADING and found.created_by != by.id:
        _somebody_elses(listed)


def _standing(listed: Listed) -> tuple[object, ...]:
    """What decides which page is shown."""
    found = listed.import_
    return import_phases.phase(listed), found.state, found.orders, found.error


def _title(found: Import, phase: Phase) -> str:
    if phase is Phase.STOPPING:
        return "Stopping"
    title = TITLES.get(State(found.wanted), "Importing") if found.wanted else "Importing"
    return f"{title}: waiting" if phase is Phase.WAITING else title


def _why_waiting(found: Import) -> str:
    if start(found):
        return "It starts within seconds."
    return "It waits for the scheduler, which is not there yet, and starts by itself as soon as it is."


def _running(found: Import) -> None:
    now = import_progress.of(found)
    st.progress(_share(now) if now else 0.0, text=_words(now) if now else "It begins.")
    _metrics(found, now)


def _share(now: Progress) -> float:
    return min(now.done / now.total, 1.0) if now.done and now.total else 0.0


def _words(now: Progress) -> str:
    if now.done is not None and now.total:
        return f"{now.step}: **{formats.number(now.done)}** of {formats.counted(now.total, 'row')}"
    return f"{now.step}: {formats.counted(now.total, 'row')}" if now.total else f"{now.step} …"


def _metrics(found: Import, now: Progress | None) -> None:
    rate, left = (now.rate, now.left) if now else (None, None)
    with st.grid(4, min_column_width=140, gap="small"):
        st.metric("Speed", f"{formats.number(rate)} rows/s" if rate else formats.MISSING)
        st.metric("Time left in this step", formats.duration(left) if left is not None else formats.MISSING)
        if found.state == State.PLANNED:
            st.metric("To create", formats.number(found.created))
            st.metric("To update", formats.number(found.updated))
        elif found.opened:
            st.metric("Rows in the file", formats.number(found.rows))


def _stop(found: Import, *, running: bool) -> None:
    if found.wanted == State.UNDONE:
        if st.button("Stop", icon=":material/stop_circle:"):
            keep_dialog(found)
        return
    label = "Stop" if running else "Cancel"
    if st.button(label, icon=":material/stop_circle:", help="Nothing of it is written"):
        cancel_dialog(found, running=running)


def _somebody_elses(listed: Listed) -> None:
    found = listed.import_
    arrived = import_uploads.arrived(found.id, by=session.actor())
    size = found.upload_bytes or 0
    with page.card("Uploading", f"by {plain(listed.by_name or 'somebody')}"):
        words = f"**{formats.size(arrived)}** of {formats.size(size)} have arrived."
        st.progress(min(arrived / size, 1.0) if size else 0.0, text=words)


def resume_button(found: Import) -> None:
    """Goes on with an import that stopped in the middle."""
    towards = State.OPENED if found.state == State.NEW else State.PLANNED
    moved = found.state == State.CHECKED
    label, icon = ("Plan again", "refresh") if moved else ("Resume", "play_arrow")
    if st.button(label, icon=f":material/{icon}:", type="primary"):
        carry_out(lambda: import_orders.ask(found.id, towards, by=session.actor()))
