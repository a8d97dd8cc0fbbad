"""How an export stands, from waiting to its file."""

from collections.abc import Sequence
from datetime import UTC, datetime

import streamlit as st

from dashboard import flow_runs, formats, session
from dashboard.parts import part
from dashboard.widgets import page
from dashboard.widgets.page import plain
from models import exports
from models.exports import UNDER_WAY, Export, State

EVERY = "1s"
SHOWN = 3  # cards at most; the table has the rest
WAITS = "waits for the scheduler, which takes some seconds after a start"


def last_export() -> None:
    """The export that this browser asked for last, until it is put away."""
    export_id = session.remembered().export_id
    if export_id is None:
        return
    under_way = exports.get(export_id, by=session.actor()).state in UNDER_WAY
    part(_strip, run_every=EVERY if under_way else None)(export_id, under_way)


def exports_under_way() -> None:
    """A card for each of the person's that wait or run; the whole page runs again when one of them goes on."""
    found = exports.under_way(by=session.actor())
    if found:
        part(_cards, run_every=EVERY)(_states(found))


def _strip(export_id: int, was_under_way: bool) -> None:
    export = exports.get(export_id, by=session.actor())
    if was_under_way and export.state not in UNDER_WAY:
        st.rerun()  # the whole page once more, without the clock
    if export.state == State.WAITING:
        start(export_id)
    with st.container(border=True, horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown(sentence(export), width="content")
        with st.container(horizontal=True, width="content", gap="xsmall"):
            download_link(export)
            cancel_button(export)
            if st.button("", icon=":material/close:", help="Put this away", type="tertiary", key="put export away"):
                session.remembered().export_id = None
                st.rerun()


def _cards(before: dict[int, str]) -> None:
    found = exports.under_way(by=session.actor())
    if _states(found) != before:
        st.rerun()
    for export in found:
        if export.state == State.WAITING:
            start(export.id)
    for export in found[:SHOWN]:
        _card(export)
    if len(found) > SHOWN:
        st.caption(f"{formats.counted(len(found) - SHOWN, 'more is', 'more are')} under way.")


def _card(export: Export) -> None:
    running = export.state == State.RUNNING
    with page.card(
        "Exporting" if running else "Waiting",
        f"Export {export.id}, {plain(export.file_name)} · you can leave this page",
    ):
        total = export.total or 0
        words = (
            f"**{formats.number(export.rows)}** of {formats.counted(total, 'contact')}" if running else f"It {WAITS}."
        )
        st.progress(min(export.rows / total, 1.0) if total else 0.0, text=words)
        with st.grid(4, min_column_width=140, gap="small"):
            st.metric("Done", formats.share(export.rows, total, digits=0) if running else formats.MISSING)
            speed = pace(export)
            st.metric("Speed", f"{formats.number(speed)} rows/s" if speed else formats.MISSING)
            st.metric("Time left", formats.duration((total - export.rows) / speed) if speed else formats.MISSING)
            st.metric("Columns", formats.number(len(export.columns)))
        cancel_button(export)


def start(export_id: int) -> bool:
    """Start its flow, once for this browser: one that was asked for before Prefect was ready as soon as it is."""
    remembered = session.remembered().started
    if export_id not in remembered and flow_runs.start_export(export_id):
        remembered.add(export_id)
    return export_id in remembered


def pace(export: Export, at: datetime | None = None) -> float:
    """Rows a second since its first row; 0 while nothing can be said."""
    if export.state != State.RUNNING or export.started_at is None or not export.rows:
        return 0
    return export.rows / max(((at or datetime.now(UTC)) - export.started_at).total_seconds(), 0.1)


def sentence(export: Export) -> str:
    what = f"Export {export.id}, **{plain(export.file_name)}**,"
    match export.state:
        case State.WAITING:
            return f":gray[:material/schedule:] {what} {WAITS}."
        case State.RUNNING:
            return f":blue[:material/progress_activity:] {what} is being made: {_so_far(export)}."
        case State.DONE:
            made = f"{formats.counted(export.rows, 'contact')}, {formats.size(export.bytes)}"
            if not export.path:
                return f":gray[:material/check_circle:] {what} was made: {made}. Its file is no longer kept."
            return f":green[:material/check_circle:] {what} is ready: {made}."
        case State.CANCELLED:
            return f":gray[:material/cancel:] {what} was cancelled: {plain(export.error or 'somebody stopped it.')}"
    return f":red[:material/error:] {what} failed: {plain(export.error or 'no reason was recorded.')}"


def _so_far(export: Export) -> str:
    total = export.total or 0
    words = f"**{formats.share(export.rows, total, digits=0)}**, {formats.number(export.rows)} of "
    words += formats.counted(total, "contact")
    if speed := pace(export):
        left = formats.duration((total - export.rows) / speed)
        words += f", {formats.number(speed)} a second, {left} left"
    return words


def download_link(export: Export) -> None:
    if export.has_file:
        st.link_button("Download", file_path(export.id), icon=":material/download:")


def file_path(export_id: int) -> str:
    return f"/exports/{export_id}/file"


def cancel_button(export: Export) -> None:
    if export.state in UNDER_WAY and st.button("Cancel", icon=":material/stop_circle:", key=f"cancel {export.id}"):
        cancel(export.id)


def cancel(export_id: int) -> None:
    with page.refusals(passing=True):  # it ended just before
        exports.cancel(export_id, by=session.actor())
        st.rerun()


def _states(found: Sequence[Export]) -> dict[int, str]:
    return {export.id: export.state for export in found}
