"""Asks what an export shall hold, and requests it."""

import streamlit as st

from dashboard import flow_runs, session
from dashboard.address import View
from dashboard.widgets import columns
from dashboard.widgets.page import plain
from models import exports
from models.filters import visible_fields

FORMULAS = (
    "Otherwise a cell that looks like a formula is written as plain text. "
    "In a spreadsheet a stranger's formula can run programs and send your data away."
)
SPREADSHEETS = ("csv", "xlsx")
FORMATS = {"csv": "CSV", "xlsx": "Excel", "parquet": "Parquet", "jsonl": "JSON lines"}


@st.dialog("Export contacts", icon=":material/download:", width="medium")
def export_dialog(view: View, total: int, ids: list[int] | None = None) -> None:
    """`total` contacts: all that the view's filters match, or those with `ids`."""
    by = session.actor()
    shown = columns.fields_of(columns.chosen(view.columns, by=by))
    every = visible_fields(by)
    what = "the selected rows" if ids else plain(view.filters.sentence())
    st.markdown(f"**{counted(total)}** · {what}")
    file_format = st.segmented_control("Format", list(FORMATS), default="csv", required=True, format_func=FORMATS.get)
    names = {"shown": f"Shown ({len(shown)})", "all": f"All ({len(every)})"}
    which = st.segmented_control("Columns", list(names), default="shown", required=True, format_func=names.get)
    raw = file_format in SPREADSHEETS and st.checkbox(
        "Leave formulas as they are",
        help=FORMULAS,
    )
    st.caption("The file is made in the background. You find it here and under Exports, and it is kept for some days.")
    with st.container(horizontal=True, horizontal_alignment="right", gap="xsmall"):
        if st.button("Cancel"):
            st.rerun()
        if st.button(f"Export {counted(total)}", type="primary"):
            export_id = exports.request(
                filters=view.filters,
                columns=shown if which == "shown" else None,
                format=file_format,
                ids=ids,
                raw_formulas=bool(raw),
                by=by,
            )
            _follow(export_id)
            st.rerun()


def counted(number: int) -> str:
    return f"{number:,} contact" if number == 1 else f"{number:,} contacts"


def _follow(export_id: int) -> None:
    remembered = session.remembered()
    remembered.export_id = export_id
    if flow_runs.start_export(export_id):
        remembered.started.add(export_id)
