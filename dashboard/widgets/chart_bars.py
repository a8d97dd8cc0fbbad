"""Charts of bars: a ranking from left to right, and columns side by side."""

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

import plotly.graph_objects as go

from dashboard import formats
from dashboard.widgets.charts import HOVER, LONG, SAME, Chart, plain, plot
from dashboard.widgets.page import token

DIGIT = 7  # pixels
WIDTH = 13  # characters of a line under a column
TICKS = 13  # months named below a chart
FEW = 6  # months
STEPS = 5  # numbers at the side of a chart
FEWEST, FEWEST_SHARES = 6, 12  # bars that a chart has room for: fewer are no thicker
LEAST_SHARE = 0.5  # percent; what is less would be written as none
CLEAR = "rgba(0,0,0,0)"


def ranking(chart: Chart, *, colours: Sequence[str] | None = None) -> str | None:
    """A bar for each row with its number at the end, no axis. Returns the label of the row that was clicked."""
    numbers = [number for _, number, *_ in chart.rows]
    written = [formats.number(number) for number in numbers]
    said = [f"{plain(label, LONG)}: {text}" for (label, *_), text in zip(chart.rows, written, strict=True)]
    figure = _bars(chart, said, lying=True, written=written, colours=colours)
    figure.update_layout(xaxis={"visible": False, "range": [0, max(numbers, default=1)]})
    figure.update_yaxes(
        tickvals=list(range(len(numbers))),
        ticktext=[plain(label) for label, *_ in chart.rows],
        range=[max(len(numbers), FEWEST) - 0.5, -0.5],  # from the top
        ticks="",
        showline=False,
        showgrid=False,
        zeroline=False,
        tickfont_color=token("textColor"),
        automargin=True,
    )
    return plot(figure, chart, right=10 + DIGIT * max(map(len, written), default=1))


def months(chart: Chart) -> str | None:
    """A column for each row (month, new, in all). Returns the month that was clicked, as 2026-11-01."""
    numbers = [new for _, new, *_ in chart.rows]
    said = [
        f"<b>{formats.month(month)}</b><br>{formats.number(new)} new<br>{formats.number(total)} in all"
        for month, new, total in chart.rows
    ]
    figure = _bars(chart, said)
    named = [place for place in range(len(numbers)) if _is_named(chart, place)]
    figure.update_xaxes(tickvals=named, ticktext=[_month(chart, place, named) for place in named], ticks="")
    if len(numbers) < FEW:  # one month alone would be as broad as the chart
        figure.update_xaxes(range=[len(numbers) - FEW - 0.5, len(numbers) - 0.5])
    top = max([*numbers, 1])
    steps = {"dtick": 1} if top < STEPS else {"nticks": STEPS}  # there are no halves of contacts
    figure.update_layout(yaxis={"tickformat": ",d", "range": [0, top * 1.05], **steps})
    return plot(figure, chart)


def _is_named(chart: Chart, place: int) -> bool:
    """Each month of a year; of several years each third, sixth, January, every second one."""
    span = len(chart.rows)
    step = next((step for step in (1, 3, 6, 12, 24, 60) if span <= step * TICKS), 120)
    month = chart.rows[place][0]
    return bool((month.year * 12 + month.month - 1) % step == 0)


def _month(chart: Chart, place: int, named: list[int]) -> str:
    """“Nov”, with the year below where it begins."""
    month, first = chart.rows[place][0], place == named[0]
    return formats.month(month, short=True) + (f"<br>{month.year}" if first or month.month == 1 else "")


def shares(chart: Chart) -> str | None:
    """A column for each row (label, share in percent) before one of 100. Returns the label of the row clicked."""
    numbers = [share for _, share, *_ in chart.rows]
    said = [f"{plain(label, LONG)}: {formats.number(share, digits=1)}% filled" for label, share, *_ in chart.rows]
    written = [f"{formats.number(share)}%" if share >= LEAST_SHARE else "&lt;1%" for share in numbers]
    figure = _bars(chart, said, written=written, ground=token("secondaryBackgroundColor"))
    figure.update_xaxes(
        tickvals=list(range(len(numbers))),
        ticktext=[_lines(label) for label, *_ in chart.rows],
        range=[-0.5, max(len(numbers), FEWEST_SHARES) - 0.5],
        ticks="",
    )
    room = 1.12  # for the number above a column of 100
    figure.update_layout(yaxis={"visible": False, "range": [0, 100 * room]}, yaxis2_range=[0, room])
    return plot(figure, chart, height=220)


def _lines(label: str) -> str:
    """The label under a column, in two or three lines where it is long."""
    return "<br>".join(plain(line, WIDTH) for line in wrap(label, WIDTH)[:3])


def _bars(
    chart: Chart,
    said: list[str],
    *,
    lying: bool = False,
    written: list[str] | None = None,
    colours: Sequence[str] | None = None,
    ground: str = CLEAR,
) -> go.Figure:
    """The bars, and what the pointer meets: the whole length of each row, so that a short bar is met as well.

    With a colour as `ground` that length is seen behind the bars. It has an axis of its own, from 0 to 1: two bars on
    one axis lose their round corners.
    """
    numbers = [number for _, number, *_ in chart.rows]
    places = list(range(len(numbers)))
    met = go.Bar(
        **_along([1] * len(places), places, lying),
        **({"xaxis": "x2"} if lying else {"yaxis": "y2"}),
        marker={"color": ground, "cornerradius": 3, "line": {"width": 0}},
        width=1 if ground == CLEAR else None,
        unselected=SAME,
        customdata=list(zip(chart.labels, said, strict=True)),
        hovertemplate=HOVER,
    )
    shown = go.Bar(
        **_along(numbers, places, lying),
        text=written,
        textposition="outside",
        textfont_color=token("grayTextColor"),
        cliponaxis=False,
        marker={"color": list(colours) if colours else token("chartCategoricalColors")[0], "cornerradius": 3},
        hoverinfo="skip",
    )
    axis = "x" if lying else "y"
    above, below = (f"{axis}axis2", axis) if ground == CLEAR else (f"{axis}axis", f"{axis}2")
    figure = go.Figure([met, shown], {f"{axis}axis2": {"range": [0, 1], "visible": False}})
    figure.update_layout({above: {"overlaying": below}})
    return figure


def _along(numbers: list[float], places: list[int], lying: bool) -> dict[str, Any]:
    if lying:
        return {"x": numbers, "y": places, "orientation": "h"}
    return {"x": places, "y": numbers}
