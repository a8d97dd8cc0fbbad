"""What came in by month, less what was given back, with the same in numbers beside it."""

import plotly.graph_objects as go
import streamlit as st

from dashboard import formats
from dashboard.widgets.charts import HOVER, SAME, Chart, card, plot
from dashboard.widgets.page import token
from models.payments.listing import Month
from models.payments.states import CURRENCY


def revenue_chart(months: list[Month], *, may_export: bool) -> None:
    """The oldest first; the last is the present one."""
    now = months[-1]
    with st.grid(4, min_column_width=150, border=True):
        _metric(f"In {formats.month(now.month)}", formats.money(now.revenue), "came in, less what was given back")
        _metric("Payments in it", formats.number(now.payments), f"{formats.money(now.refunded)} given back")
        whole, back = sum(one.revenue for one in months), sum(one.refunded for one in months)
        _metric(
            f"In {formats.counted(len(months), 'month')}", formats.money(whole), f"{formats.money(back)} given back"
        )
        _metric("Payments in them", formats.number(sum(one.payments for one in months)), "that were captured")
    rows = [(one.month, one.revenue / 100, one.captured / 100, one.refunded / 100) for one in months]
    chart = Chart("Revenue", ("Month", f"{CURRENCY} net", "Came in", "Given back"), rows, f"{CURRENCY}, by month")
    with st.container(border=True), card(chart, about="All payments", may_export=may_export):
        plot(_figure(months, chart), chart, height=190)


def _metric(label: str, value: str, note: str) -> None:
    with st.container(gap="xxsmall"):
        st.metric(label, value)
        st.caption(note)


def _figure(months: list[Month], chart: Chart) -> go.Figure:
    places = list(range(len(months)))
    said = [
        f"<b>{formats.month(one.month)}</b><br>{formats.money(one.revenue)}<br>{formats.money(one.captured)} came in"
        f"<br>{formats.money(one.refunded)} given back"
        for one in months
    ]
    amounts = [one.revenue / 100 for one in months]
    bars = go.Bar(
        x=places, y=amounts, marker={"color": token("chartCategoricalColors")[0], "cornerradius": 3}, unselected=SAME,
        customdata=list(zip(chart.labels, said, strict=True)), hovertemplate=HOVER,
    )  # fmt: skip
    figure = go.Figure([bars])
    names = [
        formats.month(one.month, short=True) + (f"<br>{one.month.year}" if not at or one.month.month == 1 else "")
        for at, one in enumerate(months)
    ]
    figure.update_xaxes(tickvals=places, ticktext=names, ticks="")
    # Without any revenue an axis of its own making would show halves of a rupee below nothing.
    figure.update_layout(yaxis={"tickformat": ",d", "nticks": 5, **({} if any(amounts) else {"range": [0, 100]})})
    return figure
