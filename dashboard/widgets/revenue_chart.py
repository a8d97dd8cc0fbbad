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
    now, all_in_all = months[-1], sum(one.revenue for one in months)
    wall = st.grid(4, min_column_width=170, border=True)
    with wall.cell(column_span=3):
        rows = [(one.month, one.revenue / 100, one.captured / 100, one.refunded / 100) for one in months]
        chart = Chart("Revenue", ("Month", f"{CURRENCY} net", "Came in", "Given back"), rows, f"{CURRENCY}, by month")
        with card(chart, about="All payments", may_export=may_export):
            plot(_figure(months, chart), chart, height=190)
    with wall.cell(), st.container(gap="small"):
        st.metric(f"In {formats.month(now.month)}", formats.money(now.revenue))
        st.caption(f"of {formats.counted(now.payments, 'payment')}; {formats.money(now.refunded)} given back")
        st.metric(f"In {formats.counted(len(months), 'month')}", formats.money(all_in_all))
        st.caption(f"{formats.money(sum(one.refunded for one in months))} given back")


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
