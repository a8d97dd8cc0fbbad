"""What happened to a contact: who changed what, when, from which file; each change can be undone."""

from html import escape

import streamlit as st

from dashboard import formats, session
from dashboard.widgets import columns
from dashboard.widgets.contact_fields import shown
from dashboard.widgets.page import card, plain, refusals
from dashboard.widgets.press import pressed
from models.contacts import records
from models.contacts.history import Change, FieldChange, What
from models.contacts.records import Record
from models.contacts.table import FIELDS
from models.permissions import OPERATOR

UNDOING = {What.DELETED: What.TAKEN_BACK, What.RESTORED: What.BROUGHT_BACK}  # of the import that had created it
SHOWN = 8  # changes at first
MOST_FIELDS = 6  # of one change
LONGEST = 80  # characters of a value
ICONS = {
    What.CREATED: "add_circle",
    What.CHANGED: "edit",
    What.TAKEN_BACK: "undo",
    What.BROUGHT_BACK: "redo",
    What.DELETED: "delete",
    What.RESTORED: "restore_from_trash",
}


def history(changes: list[Change], record: Record, *, undoing: bool) -> None:
    """`changes` newest first. `undoing`: whether they may be taken back here and now."""
    everything = f"whole history {record.id}"
    with card("History", formats.counted(len(changes), "event")):
        for change in changes if st.session_state.get(everything) else changes[:SHOWN]:
            with st.container(gap="xxsmall"):
                _told(change)
                if undoing and _can_be_undone(change, record):
                    _undo_button(change, record)
            st.space(2)
        if len(changes) > SHOWN and not st.session_state.get(everything):
            st.button(f"Show {formats.number(len(changes) - SHOWN)} earlier", key=f"{everything} button",
                      type="tertiary", icon=":material/expand_more:",
                      on_click=lambda: st.session_state.update({everything: True}))  # fmt: skip


def _told(change: Change) -> None:
    st.markdown(f":material/{ICONS[change.what]}: **{_title(change)}**")
    if change.what is What.CREATED:
        st.markdown(f"{formats.counted(len(change.fields), 'field')} filled")
    elif change.fields:
        lines = "".join(_line(one, alone=len(change.fields) == 1) for one in change.fields[:MOST_FIELDS])
        more = len(change.fields) - MOST_FIELDS
        st.html(f'<ul class="change">{lines}{f"<li>and {more} more</li>" if more > 0 else ""}</ul>')
    st.caption(f"{formats.moment(change.at)} · {plain(_source(change))}")


def _title(change: Change) -> str:
    if change.what in (What.TAKEN_BACK, What.BROUGHT_BACK):
        return f"Import {change.what}"
    if change.import_id is not None and change.what in (What.DELETED, What.RESTORED):
        return f"{change.what.capitalize()}: its import was {UNDOING[change.what]}"
    if change.what in (What.CREATED, What.DELETED, What.RESTORED):
        return change.what.capitalize()
    if len(change.fields) == 1:
        return f"{columns.label(change.fields[0].name)} changed"
    return f"{len(change.fields)} fields changed"


def _line(change: FieldChange, *, alone: bool) -> str:
    label = "" if alone else f'<span class="name">{columns.label(change.name)}</span> '
    return f"<li>{label}{_value(change.name, change.old)} → {_value(change.name, change.new)}</li>"


def _value(name: str, value: object) -> str:
    if value is None:
        return '<span class="none">nothing</span>'
    text = shown(FIELDS[name], value)
    return f'<bdi class="chip">{escape(text if len(text) <= LONGEST else text[: LONGEST - 1] + "…")}</bdi>'


def _source(change: Change) -> str:
    if change.import_id is None:
        if change.merged:
            return f"by {change.by_name}, who merged {change.merge} into this one"
        by_hand = change.what is What.CREATED and change.by_name != OPERATOR.name
        many = ", with other contacts" if change.with_others and change.what is not What.TAKEN_BACK else ""
        return f"by {change.by_name}" + (", by hand" if by_hand else many)
    line = f" line {formats.number(change.line)}" if change.line is not None else ""
    return f"from {change.file_name or f'import {change.import_id}'}{line}, by {change.by_name}"


def _can_be_undone(change: Change, record: Record) -> bool:
    """Nothing that was changed again since: the newer change comes first."""
    return change.can_be_undone and all(record.values[one.name] == one.new for one in change.fields)


def _undo_button(change: Change, record: Record) -> None:
    if not pressed("Undo this change", key=f"undo {change.version}", type="tertiary", icon=":material/undo:"):
        return
    with refusals(passing=True):
        records.undo(record.id, change.version or 0, by=session.actor())
        st.toast("The change was undone", icon=":material/undo:")
    st.rerun()
