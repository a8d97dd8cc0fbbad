"""What stands out about an import beside the accepted ones before it: each thing with its numbers and rows, and who
accepted it. Until somebody did, the plan cannot be committed."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from dashboard import formats, session
from dashboard.parts import dialog
from dashboard.widgets import page
from dashboard.widgets.chart_bars import plain as label
from dashboard.widgets.confirm import confirmed
from dashboard.widgets.page import badge, plain, token
from dashboard.widgets.said import say
from models import import_acceptances, import_finding_rows, import_findings, import_profiles, imports
from models.import_acceptances import Acceptance
from models.import_findings import Finding, Severity
from models.import_profiles import Compared
from models.imports import Import, State

COLOURS = {Severity.HIGH: "red", Severity.MEDIUM: "orange", Severity.LOW: "gray"}
WORDS = {Severity.HIGH: "Far off", Severity.MEDIUM: "Stands out", Severity.LOW: "Hint"}
FIRST = 6  # findings that are shown at once
SIZE = 15  # rows of a page
ROW_HEIGHT, PICTURE = 33, 130


def waits(found: Import) -> bool:
    """Whether somebody has to accept something before the plan can be committed."""
    accepted = import_acceptances.find(found.id, by=session.actor())
    told = import_findings.listed(found.id, by=session.actor())
    return any(one.stops for one in told) and not (accepted and accepted.is_whole)


def what_stands_out(found: Import) -> None:
    told = import_findings.listed(found.id, by=session.actor())
    compared = import_profiles.compared(found.id, by=session.actor())
    if not told:
        _nothing(compared)
        return
    with page.card("What stands out", _beside(compared) if compared else ""):
        _acceptance(found, told)
        wall = st.grid(2, min_column_width=360, gap="small", border=True)
        for one in told[:FIRST]:
            with wall.cell():
                _finding(found, one)
        if len(told) > FIRST:
            with st.expander(f"{formats.number(len(told) - FIRST)} more"):
                for one in told[FIRST:]:
                    _finding(found, one)


def _nothing(compared: Compared | None) -> None:
    if compared and compared.why:
        st.caption(f":material/compare_arrows: {plain(compared.why)}")
    elif compared:
        st.caption(f":green[:material/check_circle:] Nothing stands out: {_beside(compared)}.")


def _beside(compared: Compared) -> str:
    if compared.why:
        return compared.why
    number = formats.counted(len(compared.imports), "accepted import")
    return f"compared with {number} {'of the same columns' if compared.is_same else 'of other columns'}"


def _acceptance(found: Import, told: list[Finding]) -> None:
    accepted = import_acceptances.find(found.id, by=session.actor())
    may = found.state == State.PLANNED and imports.sees_all(session.actor())
    if accepted:
        _accepted(found, accepted, may=may)
    if not any(one.stops for one in told) or (accepted and accepted.is_whole):
        return
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        more = "There is more than was accepted, or it is worse: i" if accepted else "I"
        st.markdown(
            f":orange[:material/pan_tool:] {more}t is not committed before somebody accepts this, with a reason.",
            width="content",
        )
        if may and st.button("Accept …", icon=":material/task_alt:"):
            _accept_dialog(found, import_findings.digest(told))


def _accepted(found: Import, accepted: Acceptance, *, may: bool) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        once = " It is an exception: later imports are not compared with it." if accepted.once else ""
        st.markdown(
            f"{badge('Accepted', 'green', 'check')} by {plain(accepted.by_name)}, {formats.moment(accepted.at)}:"
            f" “{plain(accepted.reason)}”{once}",
            width="content",
        )
        if may and st.button("Withdraw", icon=":material/undo:", type="tertiary"):
            with page.refusals():
                import_acceptances.withdraw(found.id, by=session.actor())
                say("The acceptance is withdrawn.")


@dialog("Accept what stands out?", icon=":material/task_alt:")
def _accept_dialog(found: Import, seen: str) -> None:
    st.markdown(f"**{plain(found.file_name)}** can be committed then. The reason stays with the import.")
    reason = st.text_area(
        "Why is the file right all the same?", max_chars=import_acceptances.LONGEST,
        placeholder="The fair in Lyon sends no e-mail addresses",
    )  # fmt: skip
    once = st.checkbox("Only this once", help="Later imports are not compared with this one.")
    if confirmed("Accept"):
        with page.refusals():
            import_acceptances.accept(found.id, reason or "", once=once, seen=seen, by=session.actor())
            say("Accepted: the plan can be committed.")


def _finding(found: Import, one: Finding) -> None:
    with st.container(gap="xsmall"):
        st.markdown(f"{badge(WORDS[one.severity], COLOURS[one.severity])} {plain(one.sentence)}")
        if examples := one.details.get("examples"):
            st.caption(", ".join(_example(value, number) for value, number in examples[:5]))
        if bins := one.details.get("bins"):
            _picture(found, one, bins)
        if one.details.get("rows") and not imports.why_hidden(found, by=session.actor()):
            _ways_to_rows(found, one)


def _example(value: Any, number: int | None) -> str:
    return f"“{plain(str(value))}”" + (f" {formats.counted(number, 'row')}" if number is not None else "")


def _ways_to_rows(found: Import, one: Finding) -> None:
    refused = one.details["rows"]["of"] in ("rejected", "duplicate")
    if found.state != State.PLANNED and not refused:
        return  # they are contacts by now
    with st.container(horizontal=True, gap="xsmall"):
        if st.button("See the rows", icon=":material/table_rows:", key=f"rows {found.id} {one.name}"):
            _rows_dialog(found, one)
        st.link_button("Download", f"/imports/{found.id}/finding-{one.name}.csv", icon=":material/download:")


@dialog("The rows", width="large", icon=":material/table_rows:")
def _rows_dialog(found: Import, one: Finding) -> None:
    st.caption(plain(one.sentence))
    pager = f"rows of {one.name} of {found.id}"
    with page.refusals():
        number = st.session_state.get(pager, 1)
        listed = import_finding_rows.page(found.id, one.name, number=number, size=SIZE, by=session.actor())
        table = pd.DataFrame(
            [(line, *values) for line, values in listed.rows], columns=pd.Index(["Line", *listed.headers])
        )
        config = st.column_config
        st.dataframe(
            table, hide_index=True, height="content", row_height=ROW_HEIGHT, placeholder="–", alt="Rows of the file",
            column_config={"Line": config.NumberColumn("Line", width=70, format="localized", pinned=True)},
        )  # fmt: skip
        st.caption(f"{formats.counted(listed.total, 'row')} of the file")
        if listed.total > SIZE:
            st.pagination(-(-listed.total // SIZE), key=pager)


def _picture(found: Import, one: Finding, bins: list[list[Any]]) -> None:
    """The shares of before beside those of now, by bucket."""
    names = [label(str(name)) for name, *_ in bins]
    before, now = ([row[place] for row in bins] for place in (1, 2))
    bars = [
        go.Bar(
            name=name, x=names, y=shares, marker={"color": token(colour), "cornerradius": 3},
            hovertemplate="%{x}: %{y:.0%}<extra>" + name + "</extra>",
        )
        for name, shares, colour in (("Before", before, "grayColor"), ("Now", now, "primaryColor"))
    ]  # fmt: skip
    figure = go.Figure(bars)
    figure.update_layout(
        height=PICTURE, margin={"l": 0, "r": 0, "t": 4, "b": 0}, bargap=0.25, dragmode=False, font={"size": 11},
        legend={"orientation": "h", "y": 1.15, "x": 1, "xanchor": "right"}, yaxis={"visible": False},
        separators=formats.separators(),
    )  # fmt: skip
    figure.update_xaxes(fixedrange=True, type="category")
    figure.update_yaxes(fixedrange=True)
    told = ", ".join(f"{name} {then:.0%} before, {own:.0%} now" for name, then, own in bins)
    st.plotly_chart(
        figure, key=f"picture {found.id} {one.name}", height=PICTURE, alt=told, config={"displayModeBar": False}
    )
