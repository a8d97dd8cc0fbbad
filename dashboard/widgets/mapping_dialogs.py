"""Naming, changing, sharing and forgetting a mapping."""

from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import streamlit as st

from dashboard import formats, session
from dashboard.parts import dialog
from dashboard.widgets import columns, page
from dashboard.widgets.confirm import confirmed
from dashboard.widgets.import_choices import EXTRA, LEFT_OUT, of
from dashboard.widgets.page import plain
from dashboard.widgets.said import say
from models import mappings
from models.contacts.mapping import TARGETS
from models.contacts.table import FULL_NAME
from models.mappings import Listed


@dialog("Name of the mapping", icon=":material/edit:")
def name_dialog(one: Listed) -> None:
    name = st.text_input("Name", value=one.name or "", max_chars=mappings.LONGEST_NAME)
    if confirmed("Save", disabled=not name.strip()):
        _carry_out(lambda: mappings.rename(one.id, name, by=session.actor()), f"It is called “{name.strip()}” now.")


@dialog("Change its columns", icon=":material/rule:", width="large")
def columns_dialog(one: Listed) -> None:
    st.caption("This counts for the files to come. Imports that have it stay as they are.")
    table = pd.DataFrame({"header": one.headers, "field": [of(one.chosen, header) for header in one.headers]})
    config = st.column_config
    edited = st.data_editor(
        table, hide_index=True, row_height=33, disabled=["header"], alt="The columns and the fields that they fill",
        height="content" if len(one.headers) <= 12 else 13 * 33, key=f"columns of mapping {one.id}",
        column_config={
            "header": config.TextColumn("Column in the file", width=260),
            "field": config.SelectboxColumn(
                "Goes to", options=[EXTRA, LEFT_OUT, *TARGETS], format_func=_label, required=True, width=260
            ),
        },
    )  # fmt: skip
    if not confirmed("Save"):
        return
    pairs = list(zip(edited["header"], edited["field"], strict=True))
    fields = {header: name for header, name in pairs if name not in (EXTRA, LEFT_OUT)}
    left_out = tuple(header for header, name in pairs if name == LEFT_OUT)
    chosen = replace(one.chosen, columns=fields, left_out=left_out)
    _carry_out(lambda: mappings.change(one.id, chosen, by=session.actor()), f"“{one.title}” was changed.")


@dialog("Forget this mapping?", icon=":material/delete:")
def forget_dialog(one: Listed) -> None:
    st.markdown(f"**{plain(one.title)}** is no longer used for new files.")
    if one.imports:
        st.caption(f"The {formats.counted(one.imports, 'import')} that it mapped stay as they are.")
    if confirmed("Forget"):
        _carry_out(lambda: mappings.remove(one.id, by=session.actor()), f"“{one.title}” is forgotten.")


def share_now(one: Listed) -> None:
    said = f"“{one.title}” is its owner's alone now." if one.is_shared else f"Everybody can use “{one.title}” now."
    _carry_out(lambda: mappings.share(one.id, not one.is_shared, by=session.actor()), said)


def _label(name: str) -> str:
    return {EXTRA: "Keep in extra", LEFT_OUT: "Leave out", FULL_NAME: "Full name"}.get(name) or columns.label(name)


def _carry_out(operation: Callable[[], object], sentence: str) -> None:
    with page.refusals():
        operation()
        say(sentence)
