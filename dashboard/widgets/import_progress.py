"""An import under way: waiting for the scheduler, being worked on, or being stopped."""

from html import escape
from string import Template

import streamlit as st

from dashboard import formats, session
from dashboard.parts import part
from dashboard.widgets import page
from dashboard.widgets.import_orders import cancel_dialog, carry_out, keep_dialog, start
from dashboard.widgets.page import plain
from models import import_orders, import_phases, import_progress, import_uploads, imports
from models.import_phases import Phase
from models.import_progress import Progress, Unit
from models.imports import Import, Listed, State

UNDER_WAY = (Phase.WAITING, Phase.RUNNING, Phase.STOPPING)
EVERY, AT_REST = "1s", "5s"
TITLES = {
    State.OPENED: "Reading the file",
    State.PLANNED: "Making the plan",
    State.COMMITTED: "Importing",
    State.UNDONE: "Taking the import back",
}

# As high as st.progress, which takes its place and gives it back.
BUSY = Template("""
.busy { font-size: .875rem; line-height: 16px; }
.busy div { height: 7px; margin-top: 6px; border-radius: 4px; overflow: hidden; position: relative;
    background: $ground; }
.busy div::after { content: ""; position: absolute; inset: 0 70% 0 0; border-radius: 4px; background: $piece;
    animation: busy 1.6s ease-in-out infinite alternate; }
@keyframes busy { to { transform: translateX(233%); } }
@media (prefers-reduced-motion: reduce) { .busy div::after { inset: 0; opacity: .4; animation: none; } }
""")


def follow(listed: Listed) -> None:
    """Show how far the import is, and the whole page again once it has moved on, whoever moved it."""
    phase, found = import_phases.phase(listed), listed.import_
    moving = phase in UNDER_WAY or phase is Phase.UPLOADING
    draw = part(_follow, run_every=EVERY if moving else AT_REST)
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
        st.markdown(f":material/schedule: {_why_waiting(found)}")
    elif phase is Phase.RUNNING:
        _running(found)
    elif phase is Phase.STOPPING:
        _busy("It stops within seconds, and nothing of it is written.")
    elif phase is Phase.UPLOADING and (found.created_by != by.id or found.upload_part_bytes):
        _sent_elsewhere(listed)


def _standing(listed: Listed) -> tuple[object, ...]:
    """What decides which page is shown."""
    found = listed.import_
    return import_phases.phase(listed), found.state, found.orders, found.error


def _title(found: Import, phase: Phase) -> str:
    if phase is Phase.STOPPING:
        return "Stopping"
    title = TITLES.get(State(found.wanted), "Importing") if found.wanted else "Importing"
    if found.state == State.UNDONE:
        title = "Bringing the import back"
    return f"{title}: waiting" if phase is Phase.WAITING else title


def _why_waiting(found: Import) -> str:
    if import_orders.waits_for_room(found):
        return f"{plain(found.error or '')} It goes on by itself within a minute after that."
    if start(found):
        return "It starts within seconds."
    return "It waits for the scheduler, which is not there yet, and starts by itself as soon as it is."


def _running(found: Import) -> None:
    now = import_progress.of(found)
    if now is None:
        _busy("It begins.")
    elif now.share:
        st.progress(now.share, text=f"{now.step}: {_so_far(now)}")
    else:
        _busy(f"{now.step}, for {formats.duration(now.seconds)} so far")
    _metrics(found, now)


def _so_far(now: Progress) -> str:
    done, total = now.done or 0, now.total or 0
    if now.step.unit is Unit.BYTES:
        return f"**{formats.size(done)}** of {formats.size(total)}"
    if now.step.unit is Unit.SHARE:
        return f"**{formats.share(done, total, digits=0)}**"
    return f"**{formats.number(done)}** of {formats.counted(total, 'row')}"


def _busy(words: str) -> None:
    """A bar that moves and claims nothing: where nobody knows how far it is, or nothing can be counted yet."""
    colours = {"ground": page.css_colour("borderColor"), "piece": page.css_colour("primaryColor")}
    st.html(f"<style>{BUSY.substitute(colours)}</style>")
    said = escape(words)
    st.html(f'<div class="busy">{said}<div role="progressbar" aria-label="{said}"></div></div>')


def _metrics(found: Import, now: Progress | None) -> None:
    left = now.left if now else None
    with st.grid(4, min_column_width=140, gap="small"):
        st.metric("Speed", _speed(now) if now and now.rate else formats.MISSING)
        st.metric("Time left in this step", formats.duration(left) if left is not None else formats.MISSING)
        if found.state == State.PLANNED:
            st.metric("To create", formats.number(found.created))
            st.metric("To update", formats.number(found.updated))
        elif found.opened:
            st.metric("Rows in the file", formats.number(found.rows))


def _speed(now: Progress) -> str:
    rate = now.rate or 0
    if now.step.unit is Unit.BYTES:
        return f"{formats.size(round(rate))}/s"
    return f"{formats.number(rate)} rows/s" if now.step.unit is Unit.ROWS else formats.MISSING


def _stop(found: Import, *, running: bool) -> None:
    if found.wanted == State.UNDONE or import_orders.is_redo(found):
        if st.button("Stop", icon=":material/stop_circle:"):
            keep_dialog(found)
        return
    label = "Stop" if running else "Cancel import"
    if st.button(label, icon=":material/stop_circle:", help="Nothing of it is written"):
        cancel_dialog(found, running=running)


def _sent_elsewhere(listed: Listed) -> None:
    found = listed.import_
    arrived = import_uploads.arrived(found.id, by=session.actor())
    size = found.upload_bytes or 0
    program = " · a program sends it" if found.upload_part_bytes else ""
    with page.card("Uploading", f"by {plain(listed.by_name or 'somebody')}{program}"):
        words = f"**{formats.size(arrived)}** of {formats.size(size)} have arrived."
        st.progress(min(arrived / size, 1.0) if size else 0.0, text=words)


def resume_button(found: Import) -> None:
    """Goes on with an import that stopped in the middle."""
    towards = State.OPENED if found.state == State.NEW else State.PLANNED
    moved = found.state == State.CHECKED
    label, icon = ("Plan again", "refresh") if moved else ("Resume", "play_arrow")
    if st.button(label, icon=f":material/{icon}:", type="primary"):
        carry_out(lambda: import_orders.ask(found.id, towards, by=session.actor()))
