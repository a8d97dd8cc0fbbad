"""How an export stands, from waiting to its file."""

import streamlit as st

from dashboard import flow_runs, session
from dashboard.widgets.page import plain
from models import exports
from models.exports import Export, State

UNDER_WAY = (State.WAITING, State.RUNNING)
EVERY = "2s"


def last_export() -> None:
    """The export that this browser asked for last, until it is put away."""
    export_id = session.remembered().export_id
    if export_id is None:
        return
    under_way = exports.get(export_id, by=session.actor()).state in UNDER_WAY
    st.fragment(_strip, run_every=EVERY if under_way else None)(export_id, under_way)


def _strip(export_id: int, was_under_way: bool) -> None:
    export = exports.get(export_id, by=session.actor())
    if was_under_way and export.state not in UNDER_WAY:
        st.rerun()  # the whole page once more, without the clock
    if export.state == State.WAITING:
        _start(export_id)
    with st.container(border=True, horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown(sentence(export), width="content")
        with st.container(horizontal=True, width="content", gap="xsmall"):
            download_link(export)
            if st.button("", icon=":material/close:", help="Put this away", type="tertiary", key="put export away"):
                session.remembered().export_id = None
                st.rerun()


def _start(export_id: int) -> None:
    """An export that was requested before Prefect was ready is started as soon as it is."""
    started = session.remembered().started
    if export_id not in started and flow_runs.start_export(export_id):
        started.add(export_id)


def sentence(export: Export) -> str:
    what = f"Export {export.id}, **{plain(export.file_name)}**,"
    match export.state:
        case State.WAITING:
            return f":gray[:material/schedule:] {what} waits for the scheduler, which takes some seconds after a start."
        case State.RUNNING:
            so_far = f"{export.rows:,} of {export.total or 0:,} contacts"
            return f":blue[:material/progress_activity:] {what} is being made: {so_far}."
        case State.DONE:
            made = f"{export.rows:,} contacts, {size(export.bytes)}"
            if not export.path:
                return f":gray[:material/check_circle:] {what} was made: {made}. Its file is no longer kept."
            return f":green[:material/check_circle:] {what} is ready: {made}."
    return f":red[:material/error:] {what} failed: {plain(export.error or 'no reason was recorded')}"


def download_link(export: Export) -> None:
    if export.state == State.DONE and export.path:
        st.link_button("Download", f"/exports/{export.id}/file", icon=":material/download:")


def size(count: int) -> str:
    """“312 B”, “4.5 KB”, “602 MB”: decimal units, as file managers count."""
    amount = float(count)
    for unit in ("B", "KB", "MB"):
        if amount < 1000:
            return f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:,.1f} GB"
