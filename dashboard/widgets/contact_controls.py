"""The controls of a contact's form, in the places where the values stood, and the bar that says what became of it."""

from collections.abc import Iterable
from datetime import date
from typing import Any, NoReturn

import streamlit as st

from dashboard import formats, places, session
from dashboard.parts import part
from dashboard.widgets import columns, contact_draft, contact_history
from dashboard.widgets.contact_fields import COLUMNS, group_card, of_group, remark
from dashboard.widgets.contact_form import Form, open_form
from dashboard.widgets.contact_header import BACK, came_from
from dashboard.widgets.page import card, plain
from dashboard.widgets.press import pressed, taken, waiting
from models.contacts import editing, likeness
from models.contacts.history import Change
from models.contacts.records import Record
from models.contacts.table import ABOUT_EMAIL, FIELDS
from models.errors import InvalidValues
from models.fields import Kind
from models.permissions import Actor

WHILE_TYPING = ("first_name", "last_name", "company", "contact_id")  # a half-typed e-mail would only be complained of
ALIKE = ("email", "person_linkedin_url")
EARLIEST, LATEST = date(1900, 1, 1), date(2200, 12, 31)
LONG_TEXT = ("notes",)
LONGEST_THEIRS = 60  # characters of a value that somebody else wrote
NOTHING = "–"  # as an option
SAVE, ANYWAY, DISCARD = "save contact", "create anyway", "discard changes"


def draft_offer(record: Record, *, by: Actor) -> None:
    """Says that something was typed and not saved, and what to do with it; nothing where there is none."""
    draft = contact_draft.find(record.id, by=by)
    if draft is None:
        return
    with st.container(
        border=True, horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"
    ):
        what = f"to {_labels(draft.texts)}"
        st.markdown(f":material/edit_note: **Unsaved changes** from {formats.moment(draft.at)} {what}", width="content")
        with st.container(horizontal=True, width="content", gap="xsmall"):
            if pressed("Discard them", key="discard draft", type="tertiary"):
                contact_draft.forget(record.id, draft.name, by=by)
                st.rerun()
            if pressed("Continue", key="continue draft", icon=":material/edit:"):
                open_form(record, by=by, draft=draft)
                st.rerun()


def edit(form: Form, changes: list[Change], *, by: Actor) -> int | None:
    """The form, with the history's `changes` beside it; the contact's id once it is saved."""
    discarding, saving, anyway = _save_bar(form)
    _fields(form, changes)
    if discarding and form.changes and not form.leaving:
        form.leaving = True
        st.rerun()
    if discarding:
        _discard(form)
    if not (saving or anyway):
        return None
    saved = form.save(anyway=anyway, by=by)
    if saved is None:
        st.rerun()
    return saved


@part
def _fields(form: Form, changes: list[Change]) -> None:
    """Every control; typing reruns this alone."""
    may_see_less = session.actor() != form.by
    form.collect()
    if may_see_less or waiting(SAVE, ANYWAY, DISCARD, BACK):
        st.rerun()
    wall = st.grid(3, min_column_width=260, gap="small")
    with wall.cell(column_span=2):
        pair = st.grid(2, min_column_width=260, gap="small")
        for groups in COLUMNS:
            with pair.cell():
                for group in groups:
                    if of_group(group, form.texts):
                        with group_card(group, form.texts) as names:
                            _rows(form, names)
    with wall.cell():
        _alike(form)
        if form.record:
            contact_history.history(changes, form.record, undoing=False)
    form.keep()


def _save_bar(form: Form) -> tuple[bool, bool, bool]:
    """At the foot of the window; says what became of the last try, wherever the page is scrolled to.

    Whether Discard, Save, and Create anyway was pressed: drawn before the fields, which make the page run again for
    each. “Create anyway” is another button at another place, for the second click of two means the first's.
    """
    with st.bottom.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"
    ):
        st.markdown(_state(form), width="content")
        with st.container(horizontal=True, width="content", gap="xsmall"):
            if form.leaving:
                st.button("Go on editing", key="go on editing", on_click=form.stay)
                return pressed("Discard it", key=DISCARD, type="primary"), False, False
            told = form.record is None and form.is_told
            anyway = pressed("Create anyway", key=ANYWAY) if told else taken(ANYWAY)
            return pressed("Discard", key=DISCARD), pressed(_saving(form), key=SAVE, type="primary"), anyway


def _state(form: Form) -> str:
    if form.leaving:
        typed = f"what you typed in {_labels(form.changes)}" if form.changes else "this"
        return f":orange[:material/delete: Discard {plain(typed)}? It is kept nowhere else.]"
    if form.gone:
        who, when = plain(form.gone.by_name or "Somebody"), formats.moment(form.gone.at)
        return f":orange[:material/delete: {who} deleted this contact at {when}. What you typed is kept.]"
    if form.there and form.is_told:
        return f":orange[:material/group: {plain(form.there.sentence)}]"
    if problem := form.problems.get(InvalidValues.FORM):
        return f":red[:material/error: Not saved. {plain(problem)}]"
    if form.problems and form.refused == form.texts:
        return f":red[:material/error: Not saved: {_labels(form.problems)} cannot be stored as it stands.]"
    if form.changed:
        who, when = plain(form.changed_by), formats.moment(form.changed_at)
        theirs = (
            "their values stand beside yours; save again to keep yours" if form.theirs else "save again to add yours"
        )
        return f":orange[:material/group: {who} changed {_labels(form.changed)} at {when}. Not saved yet: {theirs}.]"
    if form.kept_at:
        return f":gray[Goes on from what you typed at {formats.moment(form.kept_at)}.]"
    return ":gray[Changes are written to the history with your name.]"


def _saving(form: Form) -> str:
    if form.gone:
        return "Restore it with my changes"
    return "Save changes" if form.record else "Create contact"


def _discard(form: Form) -> NoReturn:
    form.close()
    if form.record is None:
        places.go("contacts", came_from())
    st.rerun()


def _rows(form: Form, names: list[str]) -> None:
    with st.container(gap=6):
        for name in names:
            label, control = st.columns([1, 1.9], gap="xsmall", vertical_alignment="center", wrap=False)
            label.markdown(f":gray[{plain(_label(name))}]")
            with control, st.container(gap="xxsmall"):
                _control(form, name)
                _remark(form, name)


def _label(name: str) -> str:
    """The field's, with what its amounts are in."""
    return f"{columns.label(name)} (US$)" if FIELDS[name].kind is Kind.MONEY else columns.label(name)


def _control(form: Form, name: str) -> None:
    kind, key, label = FIELDS[name].kind, form.key(name), _label(name)
    now = form.controlled(name)
    match kind:
        case Kind.CHOICE | Kind.INDUSTRY | Kind.OWNER:
            _one_of(label, [*form.suggestions.get(name, []), now], key, accept_new_options=kind is Kind.CHOICE)
        case Kind.FLAG:
            _one_of(label, ["yes", "no"], key, format_func=lambda value: value.capitalize() or NOTHING)
        case Kind.LIST:
            offered = form.suggestions.get(name, [])
            st.multiselect(
                label, list(dict.fromkeys([*offered, *now])), key=key, placeholder="Add", accept_new_options=True,
                label_visibility="collapsed",
            )  # fmt: skip
        case Kind.DATE:
            st.date_input(
                label, None, min_value=min(EARLIEST, now or EARLIEST), max_value=max(LATEST, now or LATEST), key=key,
                format="YYYY-MM-DD", label_visibility="collapsed",
            )  # fmt: skip
        case _ if name in LONG_TEXT:
            st.text_area(label, key=key, placeholder="Add", label_visibility="collapsed", height=110)
        case _:
            live = "400ms" if name in WHILE_TYPING else False
            st.text_input(label, key=key, placeholder="Add", label_visibility="collapsed", live=live)


def _one_of(label: str, offered: list[str], key: str, **more: Any) -> None:
    """With nothing as an option: a box that can be cleared is cleared by Escape, too, which is to close its list."""
    options = list(dict.fromkeys(["", *offered]))
    looks = {"format_func": lambda value: value or NOTHING, "label_visibility": "collapsed"}
    st.selectbox(label, options, key=key, **looks | more)


def _remark(form: Form, name: str) -> None:
    """What is wrong with the field's text, and what somebody else wrote there."""
    text = form.texts[name]
    problem = editing.problem(name, form.texts) if text != form.base[name] else None
    if form.refused.get(name) == text:
        problem = problem or form.problems.get(name)
    if problem:
        remark(problem, "wrong")
    elif told := _forgotten(form, name):
        remark(f"{told} was said of the old address, and is emptied. Set it where you know it of the new one.")
    if name in form.theirs and form.theirs[name] != text:
        theirs = form.theirs[name] or "nothing"
        st.button(
            f"{plain(form.changed_by)} wrote **{plain(theirs[:LONGEST_THEIRS])}**",
            key=f"{form.key(name)} theirs", type="tertiary", icon=":material/move_up:", help="Take this value",
            on_click=form.take, args=(name,),
        )  # fmt: skip
    elif name in form.changed and text == form.base[name]:
        remark(f"{form.changed_by} changed it just now")


def _forgotten(form: Form, name: str) -> str:
    """What is unknown since the field's text was changed, in words; "" for nothing."""
    if form.texts[name] == form.base[name]:
        return ""
    about = [one for one in ABOUT_EMAIL.get(name, ()) if form.base.get(one)]
    left = [one for one in about if not form.texts[one]]
    return " and ".join(f"{columns.label(one)} “{form.base[one]}”" for one in left)


def _alike(form: Form) -> None:
    """Contacts that may be the same one, each behind a link of its own tab: what is typed stays."""
    if form.record and not set(form.changes) & {*WHILE_TYPING, *ALIKE}:
        return
    found = likeness.alike(form.texts, besides=form.contact_id, by=form.by)
    if form.record and not found:
        return
    with card("Perhaps the same", formats.counted(len(found), "contact")):
        if not found:
            st.caption("Nobody like this so far. Contacts with the same e-mail, LinkedIn or name show here.")
        for one in found:
            with st.container(gap="xxsmall"):
                st.markdown(f":material/person: **[{plain(one.name)}]({places.path('contact')}?id={one.id})**")
                known = [part for part in (one.title, one.company, one.email) if part and part != one.name]
                st.caption("  \n".join(plain(line) for line in (" · ".join(known), one.reason) if line))


def _labels(names: Iterable[str]) -> str:
    return ", ".join(columns.label(name) for name in names if name in FIELDS)
