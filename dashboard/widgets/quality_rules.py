"""The table of rules with their trends; the selected one with its chart, its rows, and whether it stops imports."""

from math import ceil
from typing import NoReturn

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from dashboard import formats, places, session
from dashboard.parts import part
from dashboard.widgets import page
from dashboard.widgets.charts import HOVER, Chart, plot
from dashboard.widgets.page import badge, plain, token
from dashboard.widgets.row_buttons import clicked, row_button
from dashboard.widgets.said import say
from models import check_switches
from models.check_board import Standing
from models.check_rules import About
from models.permissions import Permission

ROW_HEIGHT, MOST_ROWS = 36, 14
STATES = {"Broken": "red", "Tolerated": "yellow", "Holds": "green"}
ABOUT = {About.CONTACTS: "Contacts", About.INDUSTRIES: "Industries", About.PAYMENTS: "Payments"}
LEADS_TO = {About.INDUSTRIES: "Show its contacts", About.PAYMENTS: "Show it among the payments"}
LEADS = {About.INDUSTRIES: "Contacts of “{}”", About.PAYMENTS: "Payment {}"}
OPENED = "contacts of a rule opened"
HEIGHT = 150  # pixels of the chart


@part
def rules_table(rules: list[Standing]) -> None:
    """`rules` is what the screen has read; searching and selecting reads nothing."""
    with page.card("Rules", "The sign in front shows the contacts that break a rule"):
        shown = _chosen(rules)
        # One scale for all: a rule that half a percent breaks must not look like one that all rows do.
        one = _table(shown, ceil(100 * max((point.share for one in rules for point in one.points), default=0)) or 1)
        if one is None:
            st.caption("Select a rule to see it over time.")
        else:
            _details(one)
    if opened := clicked(OPENED):
        _show_contacts(opened[0])


def state(one: Standing) -> str:
    if not one.last.success:
        return "Broken"
    return "Tolerated" if one.is_tolerated else "Holds"


def _chosen(rules: list[Standing]) -> list[Standing]:
    """Those that the controls leave."""
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        words = st.text_input(
            "Search", key="rule search", type="search", live="300ms", icon=":material/search:",
            placeholder="Search rules", label_visibility="collapsed", width=200,
        )  # fmt: skip
        counts = pd.Series([state(one) for one in rules]).value_counts()
        wanted = st.segmented_control(
            "State", [name for name in STATES if name in counts], key="rule state", label_visibility="collapsed",
            format_func=lambda name: f"{name} :gray[{formats.number(int(counts[name]))}]",
        )  # fmt: skip
        abouts = [about for about in ABOUT if any(one.about is about for one in rules)]
        about = None
        if len(abouts) > 1:
            about = st.segmented_control(
                "About", abouts, key="rule about", label_visibility="collapsed", format_func=ABOUT.__getitem__
            )
    sought = words.strip().casefold()
    return [
        one for one in rules
        if sought in one.sentence.casefold() and wanted in (None, state(one)) and about in (None, one.about)
    ]  # fmt: skip


def _table(rules: list[Standing], most: int) -> Standing | None:
    """Draws the rows, the shares over time up to `most` percent; returns the selected rule."""
    if not rules:
        with page.empty("search_off", "No rule is like that", "Search for other words, or choose another state."):
            pass
        return None
    config = st.column_config
    colours = [token(f"{colour}BackgroundColor") for colour in STATES.values()]
    rows = [
        {
            "open": ":material/open_in_full:" if one.filter and one.last.failing else None,
            "rule": one.sentence,
            "state": [state(one)],
            "failing": one.last.failing,
            "share": 100 * one.last.share,
            "tolerance": 100 * (1 - one.tolerance),
            "trend": [100 * point.share for point in one.points],
            "blocks": one.blocks,
        }
        for one in rules
    ]
    marked = st.dataframe(
        pd.DataFrame(rows),
        key=f"rules {hash(tuple((one.name, one.last.run_id) for one in rules))}",
        on_select="rerun",
        selection_mode="single-row",
        hide_index=True,
        row_height=ROW_HEIGHT,
        height="content" if len(rows) <= MOST_ROWS else (MOST_ROWS + 1) * ROW_HEIGHT + 2,
        placeholder=formats.MISSING,
        alt="Rules of data quality",
        column_config={
            "open": row_button(" ", key=OPENED, meant=[one.filter for one in rules], width=42, pinned=True),
            "rule": config.TextColumn("Rule", width=302),
            "state": config.MultiselectColumn("State", width=96, options=list(STATES), color=colours),
            "failing": config.NumberColumn("Failing", width=76, format="localized"),
            "share": config.NumberColumn("Share", width=70, format="%.2f%%"),
            "tolerance": config.NumberColumn("Tolerance", width=82, format="%.0f%%", help="The share that may fail"),
            "trend": config.LineChartColumn(f"Over time, to {most}%", width=124, y_min=0, y_max=most),
            "blocks": config.CheckboxColumn("Stops imports", width=104),
        },
    )
    picked = marked.selection.rows
    return rules[picked[0]] if picked and picked[0] < len(rules) else None


def _details(one: Standing) -> None:
    last = one.last
    told = badge(state(one), STATES[state(one)])
    since = f" since {formats.moment(one.broken_since)}" if one.broken_since else ""
    st.markdown(f"**{plain(one.sentence)}** {told}{since}")
    of = formats.number(last.checked)
    st.caption(f"{formats.number(last.failing)} of {of} {_rows(one)} fail. {_allowed(one)}")
    _named_rows(one)
    _chart(one)
    _actions(one)


def _named_rows(one: Standing) -> None:
    """Those that are no contacts; a click leads to what hangs on them."""
    if one.about is About.CONTACTS or not one.examples:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        for name in one.examples:
            if st.button(
                LEADS[one.about].format(plain(name)),
                icon=":material/arrow_forward:",
                icon_position="right",
                key=f"row {one.name} {name}",
                help=LEADS_TO[one.about],
            ):
                _follow(one, name)
        if (more := one.last.failing - len(one.examples)) > 0:
            st.caption(f"and {formats.number(more)} more", width="content")


def _follow(one: Standing, name: str) -> NoReturn:
    if one.about is About.INDUSTRIES:
        places.go("contacts", {"industry": name})
    places.go("payments", {} if name.isdecimal() else {"who": name})


def _rows(one: Standing) -> str:
    if one.about is not About.CONTACTS:
        return "rows"
    return "contacts" if one.field is None else "values"


def _allowed(one: Standing) -> str:
    if one.tolerance >= 1:
        return "None may."
    return f"Up to {formats.share(1 - one.tolerance, 1)} may{', so the rule holds' if one.is_tolerated else ''}."


def _chart(one: Standing) -> None:
    rows = [(formats.moment(point.at), point.failing) for point in one.points]
    chart = Chart(f"Rule {one.name}", ("Check", "Failing"), rows)
    said = [
        f"<b>{at}</b><br>{formats.number(point.failing)} of {formats.number(point.checked)}"
        for (at, _), point in zip(rows, one.points, strict=True)
    ]
    line = go.Scatter(
        x=[point.at for point in one.points], y=[point.failing for point in one.points], mode="lines+markers",
        line={"color": token("chartCategoricalColors")[0], "width": 2}, marker={"size": 6},
        customdata=list(zip(chart.labels, said, strict=True)), hovertemplate=HOVER,
    )  # fmt: skip
    figure = go.Figure([line])
    top = max(point.failing for point in one.points)
    figure.update_layout(
        yaxis={"tickformat": ",d", "rangemode": "tozero", "nticks": 4, "range": [0, max(top, 4) * 1.1]}
    )
    plot(figure, chart, height=HEIGHT)


def _actions(one: Standing) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if one.filter and one.last.failing:
            number = formats.counted(one.last.failing, "contact")
            if st.button(f"Show the {number}", icon=":material/contacts:", type="primary"):
                _show_contacts(one.filter)
        if one.about is About.CONTACTS:
            _switch(one)


def _switch(one: Standing) -> None:
    may = session.actor().may(Permission.SETTINGS_CHANGE)
    wanted = st.toggle(
        "Stops imports", value=one.blocks, key=f"stops {one.name} {one.blocks}", disabled=not may,
        help="An import that breaks it is not committed before somebody accepts that. For plans made from now on.",
    )  # fmt: skip
    if may and wanted != one.blocks:
        with page.refusals():
            check_switches.switch(one.name, wanted, by=session.actor())
            say("Imports that break it wait now." if wanted else "It stops no import any more.")


def _show_contacts(condition: str) -> NoReturn:
    key, _, value = condition.partition("=")
    places.go("contacts", {key: value})
