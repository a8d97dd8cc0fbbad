"""Exports: what was taken out, with its receipt, and the files while they are kept."""

import streamlit as st

from dashboard import session
from dashboard.widgets import page
from dashboard.widgets.export_progress import download_link, sentence
from dashboard.widgets.page import plain
from models import exports
from models.exports import Export
from models.settings import settings

SHOWN = 50


def show() -> None:
    by = session.actor()
    mine = exports.mine(by=by, limit=SHOWN)
    with page.header(
        "Exports", f"Your files are kept for {settings().days_kept_exports} days, their receipts for good."
    ):
        st.button("Refresh", icon=":material/refresh:")
    if not mine:
        with page.empty("download", "You have not exported anything yet", "Choose contacts, then press Export."):
            return
    for export in mine:
        _receipt(export)


def _receipt(export: Export) -> None:
    with st.container(border=True, horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        with st.container(width="content", gap="xxsmall"):
            st.markdown(sentence(export))
            st.caption(f"{export.created_at:%-d %b %Y, %H:%M} UTC · {plain(export.filter_sentence)}")
            if export.sha256:
                st.caption(f"SHA-256 `{export.sha256}`")
        download_link(export)
