"""A line over time, in the theme's colour."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import plotly.graph_objects as go

from dashboard.widgets.charts import HOVER, SAME, Chart
from dashboard.widgets.page import token

LEAST_SPAN = timedelta(hours=12)  # of an axis


def line(moments: Sequence[datetime], numbers: Sequence[float], said: list[str], chart: Chart) -> go.Figure:
    """The numbers over time; `said` is the tooltip of each, with simple HTML."""
    colour = token("chartCategoricalColors")[0]
    drawn = go.Scatter(
        x=moments, y=numbers, mode="lines+markers", line={"color": colour}, marker={"color": colour, "size": 5},
        unselected=SAME, customdata=list(zip(chart.labels, said, strict=True)), hovertemplate=HOVER,
    )  # fmt: skip
    figure = go.Figure([drawn])
    figure.update_yaxes(nticks=5, rangemode="tozero")
    figure.update_xaxes(nticks=6)
    if moments and moments[-1] - moments[0] < LEAST_SPAN:  # one point alone would be shown by its milliseconds
        figure.update_xaxes(range=[moments[-1] - LEAST_SPAN, moments[-1] + LEAST_SPAN / 12])
    return figure
