"""Watched folders: places whose new files are imported by schedule, and what became of them."""

import streamlit as st

from dashboard import places, session
from dashboard.widgets import page
from dashboard.widgets.watched_dialogs import set_up_dialog
from dashboard.widgets.watched_table import watched_table
from models import watched_folders
from models.permissions import Permission

NOTE = "Files that come into these places are imported by schedule, each once, whatever it is called."


def show() -> None:
    by = session.actor()
    with page.skeleton("watched", "Watched folders", 480) as place:
        there = watched_folders.listed(by=by)
    may = by.may(Permission.FOLDERS_WATCH)
    with place.container():
        with page.header("Watched folders", NOTE):
            if st.button("All imports", icon=":material/list:", type="tertiary"):
                places.go("imports")
            if may and st.button("Watch a folder", icon=":material/add:", type="primary"):
                set_up_dialog(None)
        if there:
            watched_table(there)
            return
        hint = "Watch a folder of the server, or a prefix in S3." if may else "An administrator sets them up."
        with page.empty("folder_eye", "No folder is watched", hint):
            pass
