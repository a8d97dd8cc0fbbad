"""The imports so far, newest first; a click opens one."""

from typing import Any

import pandas as pd
import streamlit as st

from dashboard import formats, session
from dashboard.parts import part
from dashboard.widgets import page
from dashboard.widgets.import_orders import go, start
from dashboard.widgets.row_buttons import clicked, row_button
from models import import_phases, imports
from models.import_phases import Phase
from models.imports import Listed, State

SIZE = 20  # rows of a page
ROW_HEIGHT = 36
OPENED, PAGE = "import opened", "imports page"  # the keys of clicks on a row's button, and of the pager
STATES = {
    "Uploading": "blue",
    "Waiting": "gray",
    "Running": "blue",
    "Stopping": "gray",
    "Interrupted": "yellow",
    "To map": "violet",
    "To check": "violet",
    "Done": "green",
    "Done with rejects": "yellow",
    "Undone": "gray",
    "Failed": "red",
    "Cancelled": "gray",
}
UNDER_WAY = (Phase.WAITING, Phase.RUNNING, Phase.STOPPING, Phase.UPLOADING)
NEXT = {
    Phase.MAPPING: "Map",
    Phase.PLANNED: "Check",
    Phase.STOPPED: "Go on",
    Phase.UPLOADING: "Go on",
    Phase.FAILED: "Why?",
}


def import_table(read: list[Listed], total: int) -> None:
    """`read` are those of the page that the screen has read. While one of them is under way the table is drawn anew
    now and then."""
    moving = _any_moves(read)
    part(_table, run_every="2s" if moving else None)([(read, total)], moving)


def page_number() -> int:
    return int(st.session_state.get(PAGE, 1))


def state(one: Listed) -> str:
    phase = import_phases.phase(one)
    if phase is Phase.DONE and one.import_.rejected:
        return "Done with rejects"
    return phase.value.capitalize()


def _table(read: list[tuple[list[Listed], int]], was_moving: bool) -> None:
    by = session.actor()
    listed, total = read.pop() if read else imports.page(number=page_number(), size=SIZE, by=by)
    if was_moving and not _any_moves(listed):
        st.rerun()  # once more, without the clock
    for one in listed:
        if import_phases.phase(one) is Phase.WAITING:
            start(one.import_)
    with page.card("Past imports", formats.counted(total, "import")):
        _rows(listed)
        if total > SIZE:
            st.pagination(-(-total // SIZE), key=PAGE)
    if opened := clicked(OPENED):
        go(opened[0])


def _any_moves(listed: list[Listed]) -> bool:
    return any(import_phases.phase(one) in UNDER_WAY for one in listed)


def _rows(listed: list[Listed]) -> None:
    config = st.column_config
    colours = [page.token(f"{colour}BackgroundColor") for colour in STATES.values()]
    st.dataframe(
        pd.DataFrame([_row(one) for one in listed]),
        hide_index=True,
        row_height=ROW_HEIGHT,
        height="content",
        placeholder=formats.MISSING,
        alt="Imports",
        column_config={
            "open": row_button("", key=OPENED, meant=[one.import_.id for one in listed], width=75, pinned=True),
            "file": config.TextColumn("File", width=180),
            "state": config.MultiselectColumn("State", width=130, options=list(STATES), color=colours),
            "started": config.DatetimeColumn(
                "Started", width=145, format=formats.pattern(clock=True), timezone=formats.time_zone()
            ),
            "by": config.TextColumn("By", width=120),
            "rows": config.NumberColumn("Rows", width=75, format="localized"),
            "created": config.NumberColumn("Created", width=75, format="localized"),
            "updated": config.NumberColumn("Updated", width=75, format="localized"),
            "rejected": config.NumberColumn("Rejected", width=75, format="localized"),
            "took": config.TextColumn("Took", width=85),
        },
    )


def _row(one: Listed) -> dict[str, Any]:
    found, phase = one.import_, import_phases.phase(one)
    known = phase is not Phase.UPLOADING and bool(found.rows or found.seconds)
    happened = found.state in (State.COMMITTED, State.UNDONE)
    return {
        "open": NEXT.get(phase, "Open"),
        "file": found.file_name,
        "state": [state(one)],
        "created": found.created if happened else None,
        "updated": found.updated if happened else None,
        "rejected": found.rejected if happened else None,
        "rows": found.rows if known else None,
        "started": found.created_at,
        "by": one.by_name or "Command line",
        "took": formats.duration(found.seconds) if known else None,
    }
