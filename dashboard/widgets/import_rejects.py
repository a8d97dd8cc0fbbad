"""The rows that did not come in: why, which ones, and as a file to mend."""

from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from dashboard import formats, session
from dashboard.parts import part
from dashboard.widgets import page
from dashboard.widgets.page import plain
from models import import_rejects, imports
from models.imports import Import

SIZE = 20  # rows of a page
REASONS = 6
KINDS = {"rejected": "Rejected", "duplicate": "Duplicates"}
FILES = {"rejected": "rejects.csv", "duplicate": "duplicates.csv"}
ROW_HEIGHT = 33


def reasons(found: Import) -> None:
    """Why rows are refused, the commonest reasons first, and the file of them."""
    if not found.rejected:
        st.caption("No row is refused.")
        return
    counted = import_rejects.reasons(found.id, by=session.actor())[:REASONS]
    table = pd.DataFrame(
        {"Why": [plain(one.sentence) for one in counted], "Rows": [formats.number(one.rows) for one in counted]}
    )
    if counted:
        st.table(table, border="horizontal", hide_index=True, alt="Why rows are refused")
    if left := found.rejected - sum(one.rows for one in counted):
        st.caption(f"{formats.counted(left, 'row')} for other reasons" if counted else "Why stands with each, below.")
    download(found, "rejected")


def download(found: Import, kind: str) -> None:
    """Nothing for whom its values are hidden from."""
    if imports.why_hidden(found, by=session.actor()) or found.rejects_expired_at:
        return
    label = "Download rejected rows" if kind == "rejected" else "Download duplicates"
    st.link_button(label, f"/imports/{found.id}/{FILES[kind]}", icon=":material/download:")


@part
def rows(found: Import) -> None:
    """The rows themselves, a page at a time."""
    kinds = [kind for kind, number in (("rejected", found.rejected), ("duplicate", found.duplicates)) if number]
    if not kinds:
        return
    with page.card("Rows that do not come in", "Mend them in the file, and import that: the rest is known by then"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            if found.rejects_expired_at:
                st.caption(f"They were removed on {formats.moment(found.rejects_expired_at)}, as retention asks for.")
                return
            kind = st.segmented_control(
                "Kind", kinds, default=kinds[0], required=True, format_func=KINDS.get, label_visibility="collapsed",
                key=f"kind {found.id}",
            )  # fmt: skip
            reason = _reason(found, kind)
            download(found, kind)
        pager = f"rejects {found.id} {kind} {reason}"
        listed, total = import_rejects.page(
            found.id, number=st.session_state.get(pager, 1), size=SIZE, kind=kind, reason=reason, by=session.actor()
        )
        _table(found, listed)
        if total > SIZE:
            st.pagination(-(-total // SIZE), key=pager)


def _reason(found: Import, kind: str) -> int | None:
    """The place of the reason that is chosen; None for any."""
    counted = import_rejects.reasons(found.id, kind=kind, by=session.actor())
    if len(counted) < 2:
        return None
    words = {place: f"{one.sentence} ({formats.number(one.rows)})" for place, one in enumerate(counted)}
    return st.selectbox(
        "Reason", [None, *words], label_visibility="collapsed", key=f"reason {found.id} {kind}", width=340,
        format_func=lambda place: words.get(place, "Any reason"),
    )  # fmt: skip


def _meant(row: import_rejects.ImportReject) -> str | None:
    """Where the contacts are that the row could mean."""
    return f"/contacts?{urlencode([('contact', one) for one in row.contacts])}" if row.contacts else None


def _table(found: Import, listed: list[import_rejects.ImportReject]) -> None:
    hidden = imports.why_hidden(found, by=session.actor())
    headers = [] if hidden else (found.opened or {}).get("headers", [])[:30]
    config = st.column_config
    beside = {"meant": any(one.contacts for one in listed), "other": any(one.other_line for one in listed)}
    table = pd.DataFrame(
        [
            {"meant": _meant(one), "line": one.line, "reason": one.reason, "other": one.other_line}
            | {"column": one.header, "value": one.value}
            | {f"cell {place}": cell for place, cell in enumerate(one.cells[: len(headers)])}
            for one in listed
        ]
    ).drop(columns=[name for name, is_there in beside.items() if not is_there])
    st.dataframe(
        table,
        hide_index=True,
        height="content",
        row_height=ROW_HEIGHT,
        placeholder="–",
        alt="Rows that do not come in",
        column_order=["line", "reason", "column"] if hidden else None,
        column_config={
            "line": config.NumberColumn("Line", width=70, format="localized", pinned=True),
            "meant": config.LinkColumn("Contacts", display_text="Show", width=80),
            "other": config.NumberColumn("Line that came in", width=120, format="localized"),
            "reason": config.TextColumn("Why", width=560),  # what our longest sentences take
            "column": config.TextColumn("Column", width=110),
            "value": config.TextColumn("Value", width=150),
            **{f"cell {place}": config.TextColumn(header, width=120) for place, header in enumerate(headers)},
        },
    )
