"""A chart in its card: in the theme's colours, clickable, told in words for who cannot see it, downloadable."""

import html
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from dashboard import formats, session
from dashboard.widgets.chart_download import downloads

HEIGHT = 250  # pixels
TOLD = 12  # rows in a chart's description
CUT = 18  # characters of a label beside a bar
LONG = 80  # characters of one in a tooltip
HOVER = "%{customdata[1]}<extra></extra>"
SAME = {"marker": {"opacity": 1}}  # what is not clicked does not fade: the screen changes anyway


@dataclass(frozen=True)
class Chart:
    """`rows` are its data under `headers`, a label first and its number second; None as a number is none.

    A label is text as files brought it. `rest` goes with the downloaded data only.
    """

    name: str
    headers: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    note: str = ""
    rest: list[tuple[Any, ...]] = field(default_factory=list)

    @property
    def labels(self) -> list[str]:
        """What a click on each row carries: by the time it arrives the rows may be others."""
        return [str(label) for label, *_ in self.rows]

    @property
    def key(self) -> str:
        """A new one after each click: a chart that comes back with its old key comes back clicked."""
        return f"{self.name.lower().replace(' ', '-')}-{session.remembered().clicks}"

    def words(self) -> str:
        """What a screen reader says: the name and the first numbers."""
        parts = [f"{_said(label)} {formats.number(number, digits=1)}" for label, number, *_ in self.rows[:TOLD]]
        more = len(self.rows) - TOLD
        return f"{self.name}, {self.headers[1]}: " + ", ".join(parts) + (f" and {more} more" if more > 0 else "")


@contextmanager
def card(chart: Chart, *, about: str, may_export: bool) -> Iterator[None]:
    """The chart's title, note and downloads above the block; the frame is the grid's.

    `about` says under a picture's title which contacts it shows.
    """
    with st.container(gap="small"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
            st.subheader(chart.name, anchor=False, width="content")
            with st.container(horizontal=True, width="content", vertical_alignment="center", gap="xsmall"):
                if chart.note:
                    st.caption(chart.note, width="content")
                rows = [chart.headers, *chart.rows, *chart.rest] if may_export else None
                downloads(chart.name, chart=chart.key, note=about, rows=rows)
        yield


def plot(figure: go.Figure, chart: Chart, *, height: int = HEIGHT, right: int = 4) -> str | None:
    """Draws it; returns the label of what was clicked (`Chart.labels`), which comes first in its customdata."""
    figure.update_layout(
        height=height,
        margin={"l": 0, "r": right, "t": 4, "b": 0},
        showlegend=False,
        bargap=0.35,
        font={"size": 12},
        hoverlabel={"font_size": 12},
        dragmode=False,
        separators=formats.separators(),
    )
    figure.update_xaxes(fixedrange=True, title=None)
    figure.update_yaxes(fixedrange=True, title=None)
    key = chart.key
    st.plotly_chart(
        figure,
        key=key,
        height=height,
        alt=chart.words(),
        on_select=lambda: _note(key),
        selection_mode="points",
        config={
            "displayModeBar": False,
            "topojsonURL": "app/static/",  # else Plotly asks a server of its own for the world
        },
    )
    return st.session_state.pop(_noted(key), None)


def _note(key: str) -> None:
    """Before anything is read anew: with other numbers it is another chart to Streamlit, and the click is lost."""
    if points := st.session_state[key].selection.points:
        st.session_state[_noted(key)] = str(points[0]["customdata"][0])


def _noted(key: str) -> str:
    return f"{key} was clicked"


def _said(label: str | date) -> str:
    return formats.month(label) if isinstance(label, date) else cut(label, LONG)


def cut(text: str, longest: int = CUT) -> str:
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def plain(text: str, longest: int = CUT) -> str:
    """A value as a chart's label: short, and without what Plotly would read as markup."""
    return html.escape(cut(" ".join(text.split()), longest), quote=False)
