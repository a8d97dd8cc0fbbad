"""How full each field is, the emptiest first; the contacts without a value are one click away."""

import pandas as pd
import streamlit as st

from dashboard import formats, places
from dashboard.parts import part
from dashboard.widgets import page
from dashboard.widgets.row_buttons import clicked, row_button
from models.check_board import Completeness

ROW_HEIGHT, MOST_ROWS = 36, 11
OPENED = "contacts without a value opened"


@part
def fields_table(fields: list[Completeness]) -> None:
    """`fields` is what the screen has read."""
    if not fields:
        return
    config = st.column_config
    with page.card("How full each field is", "The sign in front shows the contacts without a value"):
        rows = [
            {
                "open": ":material/open_in_full:" if one.filled < one.contacts else None,
                "field": one.title,
                "share": 100 * one.share,
                "filled": one.filled,
                "empty": one.contacts - one.filled,
                "trend": [100 * filled / total if total else 0.0 for _, filled, total in one.points],
            }
            for one in fields
        ]
        st.dataframe(
            pd.DataFrame(rows),
            key=f"fields {hash(tuple(one.field for one in fields))}",
            hide_index=True,
            row_height=ROW_HEIGHT,
            height="content" if len(rows) <= MOST_ROWS else (MOST_ROWS + 1) * ROW_HEIGHT + 2,
            placeholder=formats.MISSING,
            alt="How full each field is",
            column_config={
                "open": row_button(" ", key=OPENED, meant=[one.field for one in fields], width=42, pinned=True),
                "field": config.TextColumn("Field", width=260),
                "share": config.ProgressColumn("Filled", width=190, format="%.1f%%", min_value=0, max_value=100),
                "filled": config.NumberColumn("With a value", width=110, format="localized"),
                "empty": config.NumberColumn("Without", width=110, format="localized"),
                "trend": config.LineChartColumn("Over time", width=170, y_min=0, y_max=100),
            },
        )
    if opened := clicked(OPENED):
        places.go("contacts", {f"{opened[0]}.empty": "yes"})
