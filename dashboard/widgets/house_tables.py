"""What a round of housekeeping found: advice, what is kept for how long, and what holds the room."""

import pandas as pd
import streamlit as st

from dashboard import formats
from dashboard.widgets import page
from dashboard.widgets.page import badge, plain
from models.house.shapes import HouseAdvice, HouseReport, Kept, TableSize
from models.house.texts import kept_for

PREFIX = "APPOINTMENT360_"
ROW_HEIGHT, MOST, MOST_TABLES = 36, 12, 30
COUNTS = ("Dead rows", "Files")
COLOURS = {"freeze": "red", "vacuum": "yellow", "analyze": "blue"}


def advice(report: HouseReport) -> None:
    with page.card("What tables want", formats.counted(len(report.advice), "piece of advice", "pieces of advice")):
        if not report.advice:
            st.caption("Nothing: no table has many dead rows, old statistics or old transactions.")
        for one in report.advice[:MOST]:
            _advice(one)
        if len(report.advice) > MOST:
            st.caption(f"And {formats.number(len(report.advice) - MOST)} more, of smaller tables.")
        for note in report.notes:
            st.warning(plain(note), icon=":material/info:")


def _advice(one: HouseAdvice) -> None:
    with st.container(border=True, gap="xsmall"):
        colour = COLOURS.get(one.kind, "gray")
        done = f" {badge('done', 'green', 'check')}" if one.outcome == "Done." else ""
        st.markdown(f"{badge(one.kind.capitalize(), colour)} **{plain(one.subject)}**{done}")
        st.markdown(plain(one.sentence))
        if one.outcome is not None and not done:
            st.caption(plain(one.outcome))
        if one.outcome != "Done." and one.sql:
            st.code(f"{one.sql};", language="sql", wrap_lines=True)


def kept(found: list[Kept]) -> None:
    with page.card("What is kept", "The operator's settings say for how long"):
        rows = [
            {
                "what": one.what,
                "days": kept_for(one.days),
                "size": None if one.bytes is None else formats.size(one.bytes),
                "removed": one.removed,
                "gives": one.gives_up,
                "setting": one.setting.removeprefix(PREFIX),
            }
            for one in found
        ]
        st.dataframe(
            pd.DataFrame(rows), hide_index=True, width="stretch", height="content", row_height=ROW_HEIGHT,
            placeholder="–",
            column_config={
                "what": st.column_config.TextColumn("What", width=160),
                "days": st.column_config.TextColumn("Kept for", width=75),
                "size": st.column_config.TextColumn("Holds", width=70),
                "removed": st.column_config.NumberColumn("Removed", width=72, help="By the last round"),
                "gives": st.column_config.TextColumn("What goes then", width=350),
                "setting": st.column_config.TextColumn("Setting", width=205, help=f"Its name goes on after {PREFIX}"),
            },
            alt="What is kept, and for how long",
        )  # fmt: skip


def tables(report: HouseReport) -> None:
    wall = st.grid(2, min_column_width=320, border=True)
    with wall.cell(), page.card("Tables", formats.size(report.database_bytes), border=False):
        listed = [
            {"Table": one.name, "Size": formats.size(one.bytes), "Rows": _rows(one), "Dead rows": one.dead}
            for one in report.tables[:MOST_TABLES]
        ]
        _table(listed)
    with wall.cell(), page.card("Folders of the home", border=False):
        _table([
            {"Folder": one.name, "Size": formats.size(one.bytes), "Files": one.files} for one in report.folders
        ])  # fmt: skip


def _rows(one: TableSize) -> str:
    """Of large tables the server's estimate."""
    rows = formats.number(one.rows)
    return rows if one.counted else f"about {rows}"


def _table(rows: list[dict[str, object]]) -> None:
    if rows:
        counts = {name: st.column_config.NumberColumn(format="localized") for name in COUNTS}
        frame = pd.DataFrame(rows)
        st.dataframe(frame, hide_index=True, width="stretch", row_height=ROW_HEIGHT, column_config=counts)
    else:
        st.caption("Nothing yet.")
