"""How long a restore takes, from drill to drill."""

import streamlit as st

from dashboard import formats
from dashboard.widgets.chart_lines import line
from dashboard.widgets.charts import Chart, card, plot
from models.backups import Backup


def restore_chart(found: list[Backup]) -> None:
    """Nothing below two drills: one is told beside the chart's place already."""
    drilled = [(one.id, one.created_at, one.drill_seconds) for one in reversed(found) if one.drill_seconds is not None]
    if len(drilled) < 2:
        return
    moments, seconds = [moment for _, moment, _ in drilled], [took for *_, took in drilled]
    rows = [(formats.moment(moment), took) for _, moment, took in drilled]
    chart = Chart("Time to restore", ("Backup of", "Seconds"), rows, "s, by backup")
    said = [
        f"<b>Backup {number}</b><br>{formats.moment(moment)}<br>{formats.duration(took)}"
        for number, moment, took in drilled
    ]
    with st.container(border=True), card(chart, about="What the restore of each drill took", may_export=True):
        plot(line(moments, seconds, said, chart), chart)
