"""The report's charts: how long people and programs waited, how the database grew, which statements took the time."""

from datetime import datetime, timedelta

import plotly.graph_objects as go
import streamlit as st

from dashboard import formats
from dashboard.widgets.chart_bars import ranking
from dashboard.widgets.charts import HOVER, SAME, Chart, card, plot
from dashboard.widgets.page import token
from models.performance.reports import Listed
from models.performance.shapes import Hour, Statement

LONGEST, MOST = 60, 8
LEAST_SPAN = timedelta(hours=12)  # of an axis


def waited(hours: list[Hour]) -> None:
    rows = [(formats.moment(one.hour), one.p99_ms, one.p50_ms, one.requests) for one in hours]
    headers = ("Hour", "99 of 100 within, ms", "Half within, ms", "Requests")
    chart = Chart("What people waited", headers, rows, "ms, by hour")
    with card(chart, about="Screens and requests", may_export=True):
        if not hours:
            st.caption("Nothing was asked in the last week.")
            return
        said = [
            f"<b>{formats.moment(one.hour)}</b><br>99 of 100 within {formats.number(one.p99_ms)} ms<br>half within "
            f"{formats.number(one.p50_ms)} ms<br>{formats.counted(one.requests, 'request')}"
            for one in hours
        ]
        plot(_line([one.hour for one in hours], [one.p99_ms for one in hours], said, chart), chart)


def growth(reports: list[Listed]) -> None:
    """The oldest first."""
    rows = [(formats.moment(one.made_at), one.database_bytes / 1e6, one.findings) for one in reports]
    chart = Chart("Size of the database", ("Report", "MB", "Findings"), rows, "MB, by report")
    with card(chart, about="All tables and indexes", may_export=True):
        said = [f"<b>{formats.moment(one.made_at)}</b><br>{formats.size(one.database_bytes)}" for one in reports]
        figure = _line([one.made_at for one in reports], [one.database_bytes / 1e6 for one in reports], said, chart)
        figure.update_yaxes(rangemode="tozero")
        plot(figure, chart)


def statements_chart(statements: list[Statement]) -> None:
    rows = [
        (f"{place}. {' '.join(one.text.split())[:LONGEST]}", round(1000 * one.seconds), one.calls)
        for place, one in enumerate(statements[:MOST], 1)
    ]
    chart = Chart("Time of statements", ("Statement", "Milliseconds", "Calls"), rows, "ms in all")
    with card(chart, about="The last days", may_export=True):
        ranking(chart)


def _line(moments: list[datetime], numbers: list[float], said: list[str], chart: Chart) -> go.Figure:
    colour = token("chartCategoricalColors")[0]
    line = go.Scatter(
        x=moments, y=numbers, mode="lines+markers", line={"color": colour}, marker={"color": colour, "size": 5},
        unselected=SAME, customdata=list(zip(chart.labels, said, strict=True)), hovertemplate=HOVER,
    )  # fmt: skip
    figure = go.Figure([line])
    figure.update_yaxes(nticks=5, rangemode="tozero")
    figure.update_xaxes(nticks=6)
    if moments and moments[-1] - moments[0] < LEAST_SPAN:  # one point alone would be shown by its milliseconds
        figure.update_xaxes(range=[moments[-1] - LEAST_SPAN, moments[-1] + LEAST_SPAN / 12])
    return figure
