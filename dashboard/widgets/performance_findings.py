"""What the report found, each with what to do and what came of trying it."""

import streamlit as st

from dashboard import formats
from dashboard.widgets import page
from dashboard.widgets.page import badge, plain
from models.performance.shapes import Report

COLOURS = {"missing index": "red", "unused index": "yellow", "slower statement": "red", "slow operation": "red"}
MOST = 20


def findings(report: Report) -> None:
    with page.card("Findings", formats.counted(len(report.findings), "finding")):
        if not report.findings:
            st.caption("Nothing stands out.")
        for one in report.findings[:MOST]:
            with st.container(border=True, gap="xsmall"):
                colour = COLOURS.get(one.kind, "gray")
                st.markdown(f"{badge(plain(one.kind.capitalize()), colour)} **{plain(one.subject)}**")
                st.markdown(plain(one.sentence))
                if one.suggestion:
                    st.markdown(plain(one.suggestion))
                if one.tried:
                    st.caption(f":material/science: {plain(one.tried)}")
                if one.sql:
                    st.code(f"{one.sql};", language="sql", wrap_lines=True)
        for note in report.notes:
            st.caption(plain(note))
