"""What can be done with many contacts at once: copy, export, edit one field, tag, delete; and take it back."""

from collections.abc import Callable

import streamlit as st

from dashboard import cached, formats, session
from dashboard.address import View
from dashboard.parts import dialog
from dashboard.session import Ticked
from dashboard.widgets import columns, page
from dashboard.widgets.confirm import confirmed
from dashboard.widgets.contact_link import open_contact
from dashboard.widgets.copy_dialog import copy_dialog
from dashboard.widgets.export_dialog import export_dialog
from dashboard.widgets.page import plain
from models.contacts import bulk, copies
from models.contacts.bulk import Batch, Selection
from models.contacts.search import Page
from models.contacts.table import FIELDS
from models.fields import Kind
from models.filters import visible_fields
from models.permissions import Actor, Permission

MORE = {"edit": "Edit a field…", "tag": "Add or remove tags…", "delete": "Delete…"}


def bulk_actions(view: View, found: Page, ids: tuple[int, ...], *, by: Actor) -> None:
    """`ids` are ticked, on this page and on others; one click widens the selection to all that match, for as long as
    just these are ticked."""
    remembered, ticked = session.remembered(), (view.filters.query(), frozenset(ids))
    whole = remembered.whole == ticked
    if not whole:
        remembered.whole = None
    number = found.total if whole else len(ids)
    selection = Selection(view.filters, None if whole else ids)
    with st.container(horizontal=True, width="content", vertical_alignment="center", gap="xsmall"):
        st.markdown(f"**{formats.number(number)} selected**", width="content")
        _widen(ticked, found, whole)
        if number == 1 and st.button("Open", key="open ticked", type="tertiary", shortcut="O"):
            open_contact(view, ids[0])
        _copy(selection, number, by)
        if by.may(Permission.CONTACTS_EXPORT) and st.button(
            "Export", key="export selected", icon=":material/download:"
        ):
            export_dialog(view, number, None if whole else list(ids))
        if by.may(Permission.CONTACTS_EDIT):
            _more(selection, number, by)
        st.button("Untick", type="tertiary", on_click=session.untick)


def _widen(ticked: Ticked, found: Page, whole: bool) -> None:
    def choose(chosen: Ticked | None) -> None:
        session.remembered().whole = chosen

    if whole:
        st.button("Only the ticked", type="tertiary", on_click=choose, args=(None,))
    elif found.pages > 1:
        st.button(f"Select all {formats.number(found.total)}", type="tertiary", on_click=choose, args=(ticked,))


def _copy(selection: Selection, number: int, by: Actor) -> None:
    """E-mail addresses or phone numbers of what is selected. It takes contacts out, and so it asks first."""
    if not by.may(Permission.CONTACTS_EXPORT) or not copies.fields(by=by):
        return
    few = number <= copies.MOST
    most = f"Up to {formats.number(copies.MOST)} contacts can be copied at a time: export them"
    hint = "Copy e-mail addresses or phone numbers" if few else most
    if st.button("", icon=":material/content_copy:", help=hint, disabled=not few, key="copy e-mails"):
        copy_dialog(selection)


def _more(selection: Selection, number: int, by: Actor) -> None:
    hidden = {"edit": not _editable(by), "tag": "tags" not in visible_fields(by)}
    offered = [words for what, words in MORE.items() if not hidden.get(what)]
    most = f"At most {formats.number(bulk.MOST)} contacts at a time can be changed: narrow the filter"
    choice = st.menu_button(
        "More",
        offered,
        icon=":material/more_horiz:",
        type="tertiary",
        disabled=number > bulk.MOST,
        help=most if number > bulk.MOST else None,
    )
    if choice == MORE["edit"]:
        _edit(selection, number)
    if choice == MORE["tag"]:
        _tag(selection, number)
    if choice == MORE["delete"]:
        _delete(selection, number)


@dialog("Edit a field", icon=":material/edit:")
def _edit(selection: Selection, number: int) -> None:
    by = session.actor()
    st.markdown(f"One value for **{formats.counted(number, 'contact')}**.")
    name = st.selectbox("Field", _editable(by), index=None, format_func=columns.label, placeholder="Choose a field")
    emptying = name is not None and st.checkbox("Empty the field")
    text = _value(name) if name and not emptying else ""
    st.caption("It can be undone, and every contact's history keeps the old value.")
    if confirmed(f"Change {formats.counted(number, 'contact')}", disabled=name is None):
        if not (text or emptying):
            page.refusal("There is no new value: type one, or tick “Empty the field”.")
            return
        said = f"“{columns.label(name)}” set to “{text}”" if text else f"“{columns.label(name)}” emptied"
        _carry_out(lambda: bulk.change(selection, name, text, expected=number, by=by), said)


def _editable(by: Actor) -> list[str]:
    """Tags are added and removed, not set."""
    return [name for name in visible_fields(by) if name != "tags"]


def _value(name: str) -> str:
    field, key = FIELDS[name], f"new {name}"
    if field.kind is Kind.CHOICE:
        return st.selectbox(
            "New value", field.choices, index=None, accept_new_options=True, key=key, placeholder="Empty"
        ) or ""  # fmt: skip
    if field.kind is Kind.FLAG:
        return st.segmented_control("New value", ["yes", "no"], key=key) or ""
    return st.text_input("New value", key=key)


@dialog("Add or remove tags", icon=":material/sell:")
def _tag(selection: Selection, number: int) -> None:
    by = session.actor()
    st.markdown(f"For **{formats.counted(number, 'contact')}**.")
    known = list(cached.facet(selection.filters, "tags", by=by))
    add = st.multiselect("Add", known, accept_new_options=True, placeholder="Choose or type")
    remove = st.multiselect("Remove", known, placeholder="Choose")
    if confirmed(f"Change {formats.counted(number, 'contact')}", disabled=not (add or remove)):
        words = [f"added {', '.join(add)}"] * bool(add) + [f"removed {', '.join(remove)}"] * bool(remove)
        _carry_out(
            lambda: bulk.tag(selection, add=add, remove=remove, expected=number, by=by), f"Tags: {' and '.join(words)}"
        )


@dialog("Delete contacts?", icon=":material/delete:")
def _delete(selection: Selection, number: int) -> None:
    by = session.actor()
    what = formats.counted(number, "contact")
    which = plain(selection.filters.sentence(formats.value)) if selection.ids is None else "the selected rows"
    st.markdown(f"**{what}** will be deleted: {which}.")
    st.caption("It can be undone at once, and each contact can be restored from its page as long as history is kept.")
    if confirmed(f"Delete {what}"):
        _carry_out(lambda: bulk.delete(selection, expected=number, by=by), "Deleted")


def _carry_out(operation: Callable[[], Batch], said: str) -> None:
    remembered = session.remembered()
    with page.refusals():
        batch = operation()
        remembered.batch, remembered.done = batch, f"{said}: {formats.counted(batch.count, 'contact')}."
        session.untick()
        st.rerun()


def last_batch() -> None:
    """What was done to many contacts last, with its undo, until it is put away."""
    remembered = session.remembered()
    batch = remembered.batch
    if not remembered.done:
        return
    with st.container(border=True, horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown(f":green[:material/check_circle:] {plain(remembered.done)}", width="content")
        with st.container(horizontal=True, width="content", gap="xsmall"):
            undoing = batch and batch.count and st.button("Undo", icon=":material/undo:", key="undo batch")
            if st.button("", icon=":material/close:", help="Put this away", type="tertiary", key="put batch away"):
                remembered.batch, remembered.done = None, ""
                st.rerun()
    if batch and undoing:
        _take_back(batch)


def _take_back(batch: Batch) -> None:
    remembered = session.remembered()
    with page.refusals():
        back = bulk.put_back(batch, by=session.actor())
        kept = f" {formats.counted(back.kept, 'contact')} changed since and stayed as they are." if back.kept else ""
        remembered.batch = None
        remembered.done = f"Undone: {formats.counted(back.restored, 'contact')} put back.{kept}"
        session.untick()
        st.rerun()
