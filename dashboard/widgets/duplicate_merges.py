"""Merges that were made, newest first, each with its un-merge."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from dashboard import formats, places
from dashboard.widgets import page
from dashboard.widgets.duplicate_pair import unmerge
from dashboard.widgets.row_buttons import clicked, row_button
from models.contacts.merging import Merged
from models.permissions import Actor

ROW_HEIGHT = 36  # pixels
APART, OPENED = "merge taken apart", "merged contact opened"  # keys of clicks


def merges_table(found: Sequence[Merged], *, by: Actor) -> None:
    if not found:
        with page.empty("merge", "Nothing was merged yet", "What is merged stands here, and can be taken apart."):
            pass
        return
    config = st.column_config
    moment = {"format": formats.pattern(clock=True), "timezone": formats.time_zone()}
    with page.card("Merges", f"the latest {formats.number(len(found))}"):
        st.dataframe(
            pd.DataFrame([_row(one) for one in found]),
            hide_index=True,
            height="content",
            row_height=ROW_HEIGHT,
            placeholder=formats.MISSING,
            column_config={
                "open": row_button(
                    "", key=OPENED, meant=[one.survivor_id for one in found], width=36, type="tertiary", pinned=True
                ),
                "name": config.TextColumn("Contact", width=220),
                "others": config.TextColumn("Took in", width=160),
                "at": config.DatetimeColumn("Merged", width=160, **moment),
                "by": config.TextColumn("By", width=140),
                "back": row_button("", key=APART, meant=[one.id for one in found], width=110),
            },
            alt="Merges",
        )
    if opened := clicked(OPENED):
        places.go("contact", {"id": str(opened[0])})
    if apart := clicked(APART):
        unmerge(apart[0], by=by)


def _row(one: Merged) -> dict[str, object]:
    return {
        "open": ":material/open_in_full:" if one.label else None,
        "name": one.label or f"Contact {one.survivor_id}, which is gone",
        "others": ", ".join(map(str, one.others)),
        "at": one.at,
        "by": one.by_name,
        "back": None if one.undone_at else "Un-merge",
    }
