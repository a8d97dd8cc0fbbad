"""What an undo, or the undo of one, left as it was: each contact with its fields, who changed them, and as a file."""

from typing import Any

import pandas as pd
import streamlit as st

from dashboard import formats, session
from dashboard.parts import part
from dashboard.widgets import page
from dashboard.widgets.contact_fields import shown
from dashboard.widgets.import_mapping import field_label
from models import import_kept, imports
from models.contacts.table import FIELDS
from models.import_kept import Kept, KeptField
from models.import_undos import Why
from models.imports import Import

SIZE = 20  # contacts of a page
ROW_HEIGHT = 33
WHY = {
    Why.CHANGED: "Changed since",
    Why.CREATED: "New, changed since",
    Why.DELETED: "Deleted since",
    Why.MERGED: "Merged into another since",
    Why.RESTORED: "Restored, changed",
}


@part
def kept(found: Import) -> None:
    """A page of them at a time; nothing where nothing was kept."""
    pager = f"kept {found.id}"
    number = int(st.session_state.get(pager, 1))
    listed, total = import_kept.page(found.id, number=number, size=SIZE, by=session.actor())
    if not total:
        return
    with page.card("Kept as they are", formats.counted(total, "contact")):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.caption("Somebody changed these since. What they hold now stays.", width="content")
            _download(found)
        _table(listed, hidden=imports.why_hidden(found, by=session.actor()) is not None)
        if total > SIZE:
            st.pagination(-(-total // SIZE), key=pager)


def _download(found: Import) -> None:
    """Nothing for whom its values are hidden from."""
    if not imports.why_hidden(found, by=session.actor()):
        st.link_button("Download the list", f"/imports/{found.id}/kept.csv", icon=":material/download:")


def _table(listed: list[Kept], *, hidden: bool) -> None:
    config = st.column_config
    moment = {"format": formats.pattern(clock=True), "timezone": formats.time_zone()}
    order = ["contact", "name", "why", "field", "stays", "would be", "by", "at", "rest"]
    st.dataframe(
        pd.DataFrame([row for one in listed for row in _rows(one)]),
        hide_index=True,
        height="content",
        row_height=ROW_HEIGHT,
        placeholder=formats.MISSING,
        alt="Contacts that were kept as they are",
        column_order=[name for name in order if not (hidden and name in ("stays", "would be"))],
        column_config={
            "contact": config.LinkColumn("Contact", width=75, display_text=r"id=(\d+)", pinned=True),
            "name": config.TextColumn("Name", width=130),
            "why": config.TextColumn("Why", width=125),
            "field": config.TextColumn("Field", width=100),
            "stays": config.TextColumn("Stays", width=130),
            "would be": config.TextColumn("Would be", width=130),
            "by": config.TextColumn("Changed by", width=135),
            "at": config.DatetimeColumn("When", width=140, **moment),
            "rest": config.TextColumn("The rest", width=85),
        },
    )


def _rows(one: Kept) -> list[dict[str, Any]]:
    """A row for each field that stayed; one for a contact without any."""
    common = {
        "contact": f"/contact?id={one.contact_id}",
        "name": one.label,
        "why": WHY[one.why],
        "rest": "Went back" if one.rest else None,
    }
    if not one.fields:
        return [common | {"by": one.since.words, "at": one.since.at}]
    return [
        common
        | {
            "field": "Extra" if field.name == "extra" else field_label(field.name),
            "stays": _shown(field, field.stayed),
            "would be": _shown(field, field.would_be),
            "by": field.since.words,
            "at": field.since.at,
        }
        for field in one.fields
    ]


def _shown(field: KeptField, value: Any) -> str | None:
    if value is None:
        return None
    return (
        shown(FIELDS[field.name], value) if field.name in FIELDS else "; ".join(f"{k}: {v}" for k, v in value.items())
    )
