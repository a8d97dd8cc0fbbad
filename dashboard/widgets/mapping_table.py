"""The mappings that are remembered; the selected one's columns, rules and imports, and what can be done with it."""

from typing import Any

import pandas as pd
import streamlit as st

from dashboard import formats, session
from dashboard.parts import part
from dashboard.widgets import columns, page
from dashboard.widgets.import_choices import EXTRA
from dashboard.widgets.import_mapping import KEEP_WORDS, MATCH_WORDS
from dashboard.widgets.import_orders import go
from dashboard.widgets.mapping_dialogs import columns_dialog, forget_dialog, name_dialog, share_now
from dashboard.widgets.page import plain
from dashboard.widgets.row_buttons import clicked, row_button
from models import imports, mappings
from models.contacts.table import FULL_NAME
from models.mappings import Listed
from models.permissions import Permission

ROW_HEIGHT, MOST_ROWS = 36, 11
KINDS = {"Shared": "green", "Your own": "blue", "Remembered": "gray"}
OPENED = "import of a mapping opened"


@part
def mapping_table(there: list[Listed]) -> None:
    """`there` is what the screen has read."""
    with page.card("All mappings", formats.counted(len(there), "mapping")):
        selected = _table(there)
        _actions(selected)
    if selected is None:
        return
    wall = st.grid(3, min_column_width=280, gap="small", border=True)
    with wall.cell(column_span=2), page.card("Where its columns go", plain(selected.title), border=False):
        _columns(selected)
    with wall.cell():
        with page.card("Rules", border=False):
            _rules(selected)
        with page.card("Imports that have it", formats.counted(selected.imports, "import"), border=False):
            _uses(selected)
    if opened := clicked(OPENED):
        go(opened[0])


def kind(one: Listed) -> str:
    if one.name is None:
        return "Remembered"
    return "Shared" if one.is_shared else "Your own"


def place_of(one: Listed, header: str) -> str:
    """Where the column goes, in words."""
    if header in one.chosen.left_out:
        return "Left out"
    name = one.chosen.columns.get(header)
    if name is None:
        return "Kept in extra"
    return "Full name" if name == FULL_NAME else columns.label(name)


def _table(there: list[Listed]) -> Listed | None:
    config = st.column_config
    colours = [page.token(f"{colour}BackgroundColor") for colour in KINDS.values()]
    rows = [
        {
            "name": one.name or f"Last of {one.file_name}",
            "kind": [kind(one)],
            "by": one.owner or "Command line",
            "columns": f"{formats.number(len(one.chosen.columns))} of {formats.number(len(one.headers))}",
            "imports": one.imports,
            "used": one.used_at,
        }
        for one in there
    ]
    marked = st.dataframe(
        pd.DataFrame(rows),
        key=f"mappings {hash(tuple(one.id for one in there))}",
        on_select="rerun",
        selection_mode="single-row",
        hide_index=True,
        row_height=ROW_HEIGHT,
        height="content" if len(there) <= MOST_ROWS else (MOST_ROWS + 1) * ROW_HEIGHT + 2,
        placeholder=formats.MISSING,
        alt="Mappings",
        column_config={
            "name": config.TextColumn("Name", width=260),
            "kind": config.MultiselectColumn("Kind", width=110, options=list(KINDS), color=colours),
            "by": config.TextColumn("By", width=130),
            "columns": config.TextColumn("Columns", width=90, help="That fill a field, of those of the file"),
            "imports": config.NumberColumn("Imports", width=80, format="localized"),
            "used": config.DatetimeColumn(
                "Last used", width=150, format=formats.pattern(clock=True), timezone=formats.time_zone()
            ),
        },
    )
    picked = marked.selection.rows
    return there[picked[0]] if picked and picked[0] < len(there) else None


def _actions(one: Listed | None) -> None:
    """Always there, so that nothing jumps when a row is selected."""
    by = session.actor()
    may = one is not None and imports.sees_all(by) and (one.is_own or by.may(Permission.OTHERS_OVERSEE))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(_said_of(one, may), width="content")
        st.space("stretch")
        if _action("Rename" if one is None or one.name else "Give it a name", "edit", may) and one:
            name_dialog(one)
        if _action("Change its columns", "rule", may) and one:
            columns_dialog(one)
        is_shared = one is not None and one.is_shared
        label, icon = ("Keep it to its owner", "lock") if is_shared else ("Share", "group")
        if _action(label, icon, may and one is not None and one.name is not None) and one:
            share_now(one)
        if _action("Forget", "delete", may) and one:
            forget_dialog(one)


def _action(label: str, icon: str, may: bool) -> bool:
    return st.button(label, icon=f":material/{icon}:", type="tertiary", disabled=not may)


def _said_of(one: Listed | None, may: bool) -> str:
    if one is None:
        return "Select a mapping to see where its columns go"
    return f"**{plain(one.title)}**" if may else f"**{plain(one.title)}** · {plain(one.owner or 'Command line')}'s"


def _columns(one: Listed) -> None:
    table = pd.DataFrame(
        {"Column in the file": one.headers, "Goes to": [place_of(one, header) for header in one.headers]}
    )
    height: Any = "content" if len(one.headers) <= MOST_ROWS else (MOST_ROWS + 1) * ROW_HEIGHT
    st.dataframe(table, hide_index=True, row_height=33, height=height, alt="Where the columns go")


def _rules(one: Listed) -> None:
    chosen = one.chosen
    st.markdown(f"A row is a contact with: **{plain(MATCH_WORDS[chosen.match])}**")
    st.markdown(f"When both have a value: **{plain(KEEP_WORDS[chosen.keep])}**")
    for field, keep in chosen.keep_fields.items():
        st.markdown(f"{plain(columns.label(field) if field != EXTRA else 'Extra')}: **{plain(KEEP_WORDS[keep])}**")
    if chosen.dated_by:
        st.markdown(f"A row is as new as its **{plain(chosen.dated_by)}**")


def _uses(one: Listed) -> None:
    used = mappings.uses(one.id, by=session.actor())
    if not used:
        st.caption("None has it as it is now.")
        return
    config = st.column_config
    st.dataframe(
        pd.DataFrame([{"open": "Open", "file": use.file_name, "state": use.state.capitalize()} for use in used]),
        hide_index=True,
        row_height=ROW_HEIGHT,
        height="content" if len(used) <= 6 else 7 * ROW_HEIGHT,
        alt="Imports that have this mapping",
        column_config={
            "open": row_button("", key=OPENED, meant=[use.import_id for use in used], width=70),
            "file": config.TextColumn("File", width=150),
            "state": config.TextColumn("State", width=90),
        },
    )
