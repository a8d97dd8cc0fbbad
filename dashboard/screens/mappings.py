"""Mappings: what is remembered of files' columns, which can be named, shared, changed and forgotten."""

import streamlit as st

from dashboard import places, session
from dashboard.widgets import page
from dashboard.widgets.mapping_table import mapping_table
from models import mappings

NOTE = "Which column fills which field. A file with the columns of an earlier one is mapped as that one was."


def show() -> None:
    with page.skeleton("mappings", "Mappings", 480) as place:
        there = mappings.listed(by=session.actor())
    with place.container():
        with page.header("Mappings", NOTE):
            if st.button("All imports", icon=":material/list:", type="tertiary"):
                places.go("imports")
        if there:
            mapping_table(there)
            return
        with page.empty("rule", "No mapping is remembered yet", "The columns of the first import that is planned are."):
            pass
