"""How long a restore takes, from drill to drill."""

import plotly.graph_objects as go
import streamlit as st

from dashboard import formats
from dashboard.widgets import page
from models.backups import Backup

HEIGHT = 220  # pixels
TICKS = 6


def restore_chart(found: list[Backup]) -> None:
    drilled = [one for one in reversed(found) if one.drill_seconds is not None]
    if len(drilled) < 2:
        return
    with page.card("Time to restore", "What each drill's restore took"):
        seconds = [one.drill_seconds or 0.0 for one in drilled]
        told = [f"Backup {one.id}: {formats.duration(one.drill_seconds or 0.0)}" for one in drilled]
        line = go.Scatter(
            x=[one.created_at for one in drilled], y=seconds, mode="lines+markers", text=told, hoverinfo="text",
        )  # fmt: skip
        figure = go.Figure(line)
        figure.update_layout(height=HEIGHT, margin={"l": 0, "r": 4, "t": 4, "b": 0}, showlegend=False, dragmode=False)
        few = drilled[:: max(1, len(drilled) // TICKS)]
        figure.update_xaxes(tickvals=[one.created_at for one in few], ticktext=[_day(one) for one in few])
        figure.update_yaxes(rangemode="tozero", ticksuffix=" s")
        st.plotly_chart(figure, config={"displayModeBar": False}, key="time to restore")
        st.caption(f"The last one: {told[-1]}")


def _day(one: Backup) -> str:
    return formats.day(one.created_at)
