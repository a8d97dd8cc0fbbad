"""The rows behind an import's numbers, a page at a time: which contacts, with old and new values, and as a file."""

from typing import Any
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from dashboard import formats, session
from dashboard.parts import part
from dashboard.widgets import page
from dashboard.widgets.import_mapping import field_label
from dashboard.widgets.import_values import shown
from dashboard.widgets.row_buttons import clicked, row_button
from models import import_changes, imports
from models.contacts.plan_rows import PlannedRow
from models.import_changes import Kind, Moved
from models.imports import Import, State

SIZE = 20  # rows of a page
ROW_HEIGHT = 33
WORDS = {Kind.UPDATED: "Updated", Kind.CREATED: "Created", Kind.UNCHANGED: "Unchanged"}
ANY = ""  # field
FIELD = "rows of field"  # the key of clicks on a field's number


def label(name: str) -> str:
    return "Extra" if name == "extra" else field_label(name)


def rows_button(found: Import, fields: list[str]) -> dict[str, Any]:
    """A column of buttons, as long as there are rows to see, which show those that change the field; a click is taken
    up by `rows`."""
    if not _may_see(found):
        return {}
    return {"rows": row_button("", key=FIELD, meant=fields, width=70, pinned=True)}


def rows(found: Import) -> None:
    """What becomes of the rows, one by one. Nothing for who does not see every column."""
    if not _may_see(found):
        return
    kinds = _kinds(found)
    if not kinds:
        return
    if (click := clicked(FIELD)) is not None:
        st.session_state[_key(found, "kind")] = Kind.UPDATED
        st.session_state[_key(found, "field")] = click[0]
    title = "Row by row" if found.state == State.PLANNED else "What it wrote, row by row"
    _rows(found, kinds, title)


@part
def _rows(found: Import, kinds: list[Kind], title: str) -> None:
    with page.card(title, "Each contact with what it holds before and after"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
            kind = st.segmented_control(
                "Kind", kinds, default=kinds[0], required=True, label_visibility="collapsed", key=_key(found, "kind"),
                format_func=lambda one: f"{WORDS[one]} :gray[{formats.number(import_changes.total(found, one))}]",
            )  # fmt: skip
            name = _field(found) if kind is Kind.UPDATED else ANY
            asked = {"kind": str(kind)} | ({"field": name} if name else {})
            st.link_button(
                "Download these rows", f"/imports/{found.id}/changes.csv?{urlencode(asked)}", icon=":material/download:"
            )
        pager = _key(found, f"page {kind} {name}")
        listed, total = import_changes.page(
            found.id, kind=kind, changing=name or None, number=st.session_state.get(pager, 1), size=SIZE,
            by=session.actor(),
        )  # fmt: skip
        _table(listed)
        if total > SIZE:
            st.pagination(-(-total // SIZE), key=pager)


def _field(found: Import) -> str:
    changed = sorted((found.changed_fields or {}).items(), key=lambda item: -item[1])
    counts = dict(changed)
    return st.selectbox(
        "Field", [ANY, *counts], label_visibility="collapsed", key=_key(found, "field"), width=230,
        format_func=lambda one: f"{label(one)} ({formats.number(counts[one])})" if one else "Any field",
    )  # fmt: skip


def _table(listed: list[PlannedRow]) -> None:
    if not listed:
        st.caption("These rows are not here any more.")
        return
    config = st.column_config
    lines = [_line(row, value) for row in listed for value in row.values or (None,)]
    changes = any(row.values for row in listed)
    st.dataframe(
        pd.DataFrame(lines),
        hide_index=True,
        row_height=ROW_HEIGHT,
        height="content" if len(lines) <= 2 * SIZE else 2 * SIZE * ROW_HEIGHT,
        placeholder=formats.MISSING,
        alt="Rows of the import",
        column_order=["contact", "line", "name", *(["field", "old", "new"] if changes else [])],
        column_config={
            "contact": config.LinkColumn("", display_text="Open", width=60, pinned=True),
            "line": config.NumberColumn("Line", width=80, format="localized"),
            "name": config.TextColumn("Contact", width=190),
            "field": config.TextColumn("Field", width=140),
            "old": config.TextColumn("Old value", width=250),
            "new": config.TextColumn("New value", width=250),
        },
    )


def _line(row: PlannedRow, value: Any) -> dict[str, Any]:
    told = {"contact": contact_link(row.contact), "line": row.line, "name": row.name}
    if value is None:
        return told
    return told | {"field": label(value.name), "old": shown(value.old), "new": shown(value.new)}


def contact_link(contact: int | None) -> str | None:
    """Opens beside this page, which stays."""
    return None if contact is None else f"/contact?id={contact}"


def moved(found: Import) -> None:
    """The rows of which the plan that somebody looked at held no longer: what it said, and what is said now."""
    if found.moved and imports.sees_all(session.actor()):
        _moved(found)


@part
def _moved(found: Import) -> None:
    again = found.state == State.PLANNED
    title = "Different from the plan before" if again else "Rows that no longer hold"
    key = _key(found, "moved after")
    after = int(st.session_state.get(key, -1))
    listed, total = import_changes.moved(found.id, after=after, size=SIZE, by=session.actor())
    with page.card(title, formats.counted(total, "row")):
        config = st.column_config
        lines = [
            {
                "contact": contact_link(one.now.contact or one.was.contact),
                "line": one.line,
                "name": one.name or one.now.name or one.was.name,
                "field": label(name) if name else "The row",
                "said": said,
                "now": now,
            }
            for one in listed
            for name, said, now in import_changes.told(one)
        ]
        st.dataframe(
            pd.DataFrame(lines),
            hide_index=True,
            row_height=ROW_HEIGHT,
            height="content" if len(lines) <= 2 * SIZE else 2 * SIZE * ROW_HEIGHT,
            placeholder=formats.MISSING,
            alt=title,
            column_config={
                "contact": config.LinkColumn("", display_text="Open", width=60, pinned=True),
                "line": config.NumberColumn("Line", width=80, format="localized"),
                "name": config.TextColumn("Contact", width=170),
                "field": config.TextColumn("Field", width=130),
                "said": config.TextColumn("The plan said", width=270),
                "now": config.TextColumn("It says now" if again else "It would say now", width=270),
            },
        )
        _moved_foot(found, listed, total, key, after)


def _moved_foot(found: Import, listed: list[Moved], total: int, key: str, after: int) -> None:
    with st.container(horizontal=True, gap="xsmall"):
        st.link_button("Download them all", f"/imports/{found.id}/moved.csv", icon=":material/download:")
        if total > SIZE:
            st.button("First rows", disabled=after < 0, type="tertiary", on_click=_set, args=(key, -1))
            last = listed[-1].line if len(listed) == SIZE else None
            st.button("Next rows", disabled=last is None, type="tertiary", on_click=_set, args=(key, last))


def _set(key: str, value: int) -> None:
    st.session_state[key] = value


def _kinds(found: Import) -> list[Kind]:
    with_rows = [kind for kind in Kind if import_changes.total(found, kind)]
    if found.state == State.PLANNED:
        return with_rows
    return [kind for kind in with_rows if kind is not Kind.UNCHANGED] if found.written else []


def _may_see(found: Import) -> bool:
    return imports.sees_all(session.actor()) and found.state in (State.PLANNED, State.COMMITTED, State.UNDONE)


def _key(found: Import, control: str) -> str:
    # Another plan begins anew.
    return f"import {control} {found.id} {(found.planned or {}).get('at')} {found.state}"
