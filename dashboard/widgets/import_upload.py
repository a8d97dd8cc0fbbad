"""The first step of an import: its file comes, in one go or in several."""

import streamlit as st

from dashboard import formats, session
from dashboard.widgets import page
from dashboard.widgets.import_orders import go
from dashboard.widgets.upload import upload_box
from models import import_uploads
from models.imports import Import
from models.settings import settings

KINDS = "CSV, TSV, Excel, ODS, Parquet or JSON lines, also as .gz, .zst or .zip"
WHAT_HAPPENS = """
1. Encoding, separator and header are found for you.
2. Columns are matched to the fields; you can change that.
3. You see what would change, before it does.
4. You commit. You can undo it at any time.
"""


def upload_step(found: Import | None) -> None:
    """`found` is the import whose upload is not finished; None for a new one."""
    by = session.actor()
    if found is not None and (found.created_by != by.id or found.upload_part_bytes):
        return  # its progress is shown above
    most = formats.size(int(settings().max_upload))
    wall = st.grid(3, min_column_width=260, gap="small", border=True)
    with wall.cell(column_span=2), page.card("Choose a file", "A broken upload goes on where it broke", border=False):
        sent = upload_box(
            hint=f"{KINDS}; up to {most}",
            unfinished=_unfinished(found) if found else None,
            open_id=found.id if found else None,
        )
    with wall.cell(), page.card("What happens to a file", border=False):
        st.markdown(WHAT_HAPPENS)
    reached = sent.done or sent.begun
    if reached is not None and (found is None or reached != found.id):
        go(int(reached))
    if sent.done is not None:
        st.rerun()


def _unfinished(found: Import) -> str:
    arrived = import_uploads.arrived(found.id, by=session.actor())
    here, size = formats.size(arrived), formats.size(found.upload_bytes or 0)
    return f"{here} of {size} are here: choose {found.file_name} again to go on"
