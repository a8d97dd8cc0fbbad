"""The report's charts: how long people and programs waited, how the database grew, which statements took the time."""

import streamlit as st

from dashboard import formats
from dashboard.widgets.chart_bars import ranking
from dashboard.widgets.chart_lines import line
from dashboard.widgets.charts import Chart, card, plot
from models.performance.reports import Listed
from models.performance.shapes import Hour, Statement

LONGEST, MOST = 60, 8


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
        plot(line([one.hour for one in hours], [one.p99_ms for one in hours], said, chart), chart)


def growth(reports: list[Listed]) -> None:
    """The oldest first."""
    rows = [(formats.moment(one.made_at), one.database_bytes / 1e6, one.findings) for one in reports]
    chart = Chart("Size of the database", ("Report", "MB", "Findings"), rows, "MB, by report")
    with card(chart, about="All tables and indexes", may_export=True):
        said = [f"<b>{formats.moment(one.made_at)}</b><br>{formats.size(one.database_bytes)}" for one in reports]
        figure = line([one.made_at for one in reports], [one.database_bytes / 1e6 for one in reports], said, chart)
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
