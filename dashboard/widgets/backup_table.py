"""All backups, with what can be done with the selected one."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import flow_runs, formats, session
from dashboard.widgets import page
from dashboard.widgets.page import plain
from models import backups
from models.backups import Backup, State
from models.permissions import Permission

COLOURS = {
    "proven": "green",
    "unproven": "orange",
    "failed": "red",
    "gone": "red",
    "running": "blue",
    backups.DRILLING: "blue",
    "waiting": "gray",
}
ROWS_SHOWN, ROW_HEIGHT = 11, 36


def backup_table(found: list[Backup], steps: Mapping[int, str]) -> None:
    with page.card("All backups", "Select one for its details"):
        picked = st.dataframe(
            pd.DataFrame(_rows(found, steps)),
            key=f"backups {hash(tuple((one.id, one.shown(steps)) for one in found))}",
            on_select="rerun",
            selection_mode="single-row",
            height="content" if len(found) <= ROWS_SHOWN else (ROWS_SHOWN + 1) * ROW_HEIGHT + 2,
            row_height=ROW_HEIGHT,
            hide_index=True,
            placeholder="–",
            column_config={
                "backup": st.column_config.NumberColumn("Backup", width=80),
                "state": st.column_config.MultiselectColumn(
                    "State", options=[one.capitalize() for one in COLOURS], color=list(COLOURS.values()), width=100
                ),
                "made": st.column_config.TextColumn("Made"),
                "size": st.column_config.TextColumn("Size"),
                "rows": st.column_config.TextColumn("Rows"),
                "restore": st.column_config.TextColumn("Restore took"),
                "encrypted": st.column_config.TextColumn("Encrypted"),
                "place": st.column_config.TextColumn("Place"),
                "why": st.column_config.TextColumn("Why"),
            },
            alt="Backups",
        ).selection.rows
        if picked and picked[0] < len(found):
            _details(found[picked[0]])


def took(seconds: float | None) -> str | None:
    """What a restore took."""
    if seconds is None:
        return None
    return "below 1 s" if seconds < 1 else formats.duration(seconds)


def _rows(found: list[Backup], steps: Mapping[int, str]) -> list[dict[str, Any]]:
    """With their place where there is more than one, and why some are of no use where it is so."""
    rows = [_row(one, steps) for one in found]
    if len({one.place for one in found}) > 1:
        rows = [row | {"place": one.place} for row, one in zip(rows, found, strict=True)]
    if any(one.fault for one in found):
        rows = [row | {"why": one.fault} for row, one in zip(rows, found, strict=True)]
    return rows


def _row(one: Backup, steps: Mapping[int, str]) -> dict[str, Any]:
    return {
        "backup": one.id,
        "state": [one.shown(steps).capitalize()],
        "made": formats.moment(one.created_at),
        "size": None if one.bytes is None else formats.size(one.bytes),
        "rows": None if one.rows is None else formats.number(one.rows),
        "restore": took(one.drill_seconds),
        "encrypted": None if one.state != State.DONE else "yes" if one.key else "no",
    }


def _details(one: Backup) -> None:
    by = session.actor()
    if one.error:
        st.error(plain(one.error), icon=":material/error:")
    for difference in one.differences or []:
        st.error(plain(difference), icon=":material/difference:")
    if one.state != State.DONE:
        return
    if one.gone_since:
        gone = f"Its archive is not in its place, or cut short: missed since {formats.moment(one.gone_since)}"
        st.error(plain(gone), icon=":material/error:")
        return
    if one.locked_until:
        st.caption(f"Locked: nobody can delete it before {formats.moment(one.locked_until)}, and retention waits")
    st.caption(f"{plain(one.name)} in {plain(one.place)}, with {formats.counted(one.files or 0, 'stored file')}")
    st.caption("To restore it, on the server:")
    st.code(f"appointment360 restore {one.id} --into postgresql://USER@HOST/EMPTY_DATABASE --yes", language=None)
    if by.may(Permission.SERVER_MANAGE) and st.button(
        "Drill", icon=":material/fact_check:", help="Restore it into a database of its own, compare, and drop that"
    ):
        with page.refusals():
            backups.ask_drill(one.id, by=by)
            flow_runs.start_backup(one.id)
            st.rerun()
