"""The form of a contact: a control for every field in the place where its value stood, and what became of saving it.

What is typed lives in one Form of the browser's session, whatever becomes of the controls, and as a draft in the
database: neither a refusal nor an expired session, a deletion by somebody else or a restart loses any of it.
"""

import itertools
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NoReturn

import streamlit as st

from dashboard import formats, places, session
from dashboard.widgets import columns, contact_draft, contact_history
from dashboard.widgets.contact_draft import Draft
from dashboard.widgets.contact_fields import COLUMNS, group_card, of_group, remark
from dashboard.widgets.contact_header import BACK, came_from
from dashboard.widgets.page import card, plain
from dashboard.widgets.press import pressed, waiting
from models.contacts import editing, likeness, records, values
from models.contacts.editing import as_text
from models.contacts.history import Change
from models.contacts.records import Record
from models.contacts.table import FIELDS
from models.errors import AppError, ChangedMeanwhile, Conflict, Gone, InvalidValues
from models.fields import Kind
from models.filters import visible_fields
from models.permissions import Actor

KEY = "contact form"
WHILE_TYPING = ("first_name", "last_name", "company", "contact_id")  # a half-typed e-mail would only be complained of
ALIKE = ("email", "person_linkedin_url")
EARLIEST, LATEST = date(1900, 1, 1), date(2200, 12, 31)
LONG_TEXT = ("notes",)
SAVE, DISCARD = "save contact", "discard changes"
LONGEST_THEIRS = 60  # characters of a value that somebody else wrote
_numbers = itertools.count(1)


@dataclass
class Form:
    """What one person types of a contact, or of a new one where `record` is None."""

    by: Actor
    record: Record | None
    base: dict[str, str]  # the stored texts, as far as this form knows; what differs from them is saved
    texts: dict[str, str]  # what stands in the controls
    version: int
    suggestions: dict[str, list[str]]
    number: int = field(default_factory=lambda: next(_numbers))  # of the controls: a new one makes new controls
    kept: dict[str, str] = field(default_factory=dict)  # the draft as it is stored
    kept_at: datetime | None = None  # of the draft that the form was opened with
    problems: dict[str, str] = field(default_factory=dict)  # of the last try to save
    refused: dict[str, str] = field(default_factory=dict)  # the texts that they are about
    theirs: dict[str, str] = field(default_factory=dict)  # what somebody else wrote where this person typed too
    changed_by: str = ""
    changed_at: datetime | None = None
    changed: tuple[str, ...] = ()  # every field that was changed meanwhile
    gone: Gone | None = None  # the contact was deleted meanwhile

    @property
    def contact_id(self) -> int | None:
        return self.record.id if self.record else None

    @property
    def changes(self) -> dict[str, str]:
        return {name: text for name, text in self.texts.items() if text != self.base[name]}

    def key(self, name: str) -> str:
        return f"{KEY} {self.contact_id} {self.number} {name}"


def opened(contact_id: int | None) -> Form | None:
    """The form that is open for the contact, in this browser's session."""
    form = st.session_state.get(KEY)
    return form if isinstance(form, Form) and form.contact_id == contact_id else None


def open_form(record: Record | None, *, by: Actor, draft: Draft | None = None) -> Form:
    base = record.texts() if record else dict.fromkeys(visible_fields(by), "")
    if record is None:
        base |= {name: as_text(name, value) for name, value in records.DEFAULTS.items() if name in base}
    form = Form(by, record, base, dict(base), record.version if record else 0, records.suggestions(by=by))
    if draft:
        form.texts |= draft.texts
        form.version = draft.version
        form.kept, form.kept_at = dict(draft.texts), draft.at
    st.session_state[KEY] = form
    return form


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
                contact_draft.keep(record.id, {}, version=0, by=by)
                st.rerun()
            if pressed("Continue", key="continue draft", icon=":material/edit:"):
                open_form(record, by=by, draft=draft)
                st.rerun()


def close(form: Form) -> None:
    """Saved or discarded: the draft goes, too."""
    contact_draft.keep(form.contact_id, {}, version=0, by=form.by)
    st.session_state.pop(KEY, None)


def keep_typed() -> None:
    """Where the session has ended: store as a draft what the browser sent last, for whoever had opened the form.

    Nothing else is written without a session; this is that person's own note, and theirs alone to read.
    """
    form = st.session_state.get(KEY)
    if isinstance(form, Form):
        _collect(form)
        _keep(form)


def edit(form: Form, changes: list[Change], *, by: Actor) -> int | None:
    """The form, with the history's `changes` beside it; the contact's id once it is saved."""
    discarding, saving = _save_bar(form)
    _fields(form, changes)
    if discarding:
        _discard(form)
    if not saving:
        return None
    if form.gone:
        _restore(form, by)
    saved = _save(form, by)
    if saved is None:
        st.rerun()
    return saved


@st.fragment
def _fields(form: Form, changes: list[Change]) -> None:
    """Every control; typing reruns this alone."""
    session.actor()
    _collect(form)
    if waiting(SAVE, DISCARD, BACK):
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
    _keep(form)


def _save_bar(form: Form) -> tuple[bool, bool]:
    """At the foot of the window; says what became of the last try, wherever the page is scrolled to.

    Whether Discard and whether Save was pressed: drawn before the fields, which make the page run again for either.
    """
    with st.bottom.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"
    ):
        st.markdown(_state(form), width="content")
        with st.container(horizontal=True, width="content", gap="xsmall"):
            return pressed("Discard", key=DISCARD), pressed(_saving(form), key=SAVE, type="primary")


def _state(form: Form) -> str:
    if form.gone:
        who, when = plain(form.gone.by_name or "Somebody"), formats.moment(form.gone.at)
        return f":orange[:material/delete: {who} deleted this contact at {when}. What you typed is kept.]"
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


def _restore(form: Form, by: Actor) -> None:
    with suppress(Conflict):  # somebody else restored it just now
        records.restore(form.contact_id or 0, by=by)
    form.gone = None


def _discard(form: Form) -> NoReturn:
    close(form)
    if form.record is None:
        places.go("contacts", came_from())
    st.rerun()


def _save(form: Form, by: Actor) -> int | None:
    form.problems, form.refused = {}, dict(form.texts)
    try:
        if form.record is None:
            saved = records.create(form.texts, by=by)
        else:
            saved = records.update(form.record.id, form.changes, version=form.version, by=by).id
    except InvalidValues as error:
        form.problems = error.problems
    except ChangedMeanwhile as error:
        _take_in(form, error)
    except Gone as gone:
        form.gone = gone
    except AppError as error:
        form.problems = {InvalidValues.FORM: error.sentence}
    else:
        close(form)
        return saved
    return None


def _take_in(form: Form, meanwhile: ChangedMeanwhile) -> None:
    """Their values where this person typed none; beside what was typed where both did."""
    written = {name: as_text(name, value) for name, value in meanwhile.fields.items() if name in form.texts}
    typed = form.changes
    form.texts |= {name: text for name, text in written.items() if name not in typed}
    form.base |= written
    form.theirs |= {name: text for name, text in written.items() if name in typed}
    form.theirs = {name: text for name, text in form.theirs.items() if text != form.texts[name]}
    form.changed = tuple(dict.fromkeys([*form.changed, *written]))
    form.changed_by, form.changed_at, form.version = meanwhile.by_name, meanwhile.at, meanwhile.version
    form.number = next(_numbers)


def _rows(form: Form, names: list[str]) -> None:
    with st.container(gap=6):
        for name in names:
            label, control = st.columns([1, 1.9], gap="xsmall", vertical_alignment="center", wrap=False)
            label.markdown(f":gray[{columns.label(name)}]")
            with control, st.container(gap="xxsmall"):
                _control(form, name)
                _remark(form, name)


def _control(form: Form, name: str) -> None:
    kind, key, label = FIELDS[name].kind, form.key(name), columns.label(name)
    if key not in st.session_state:
        st.session_state[key] = _as_control(name, form.texts[name])
    now = st.session_state[key]
    match kind:
        case Kind.CHOICE | Kind.INDUSTRY | Kind.OWNER:
            offered = form.suggestions.get(name, [])
            st.selectbox(
                label, list(dict.fromkeys([*offered, *([now] if now else [])])), index=None, key=key,
                placeholder="Add", label_visibility="collapsed", accept_new_options=kind is Kind.CHOICE,
            )  # fmt: skip
        case Kind.FLAG:
            st.selectbox(
                label, ["yes", "no"], index=None, key=key, format_func=str.capitalize, placeholder="Add",
                label_visibility="collapsed",
            )  # fmt: skip
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


def _remark(form: Form, name: str) -> None:
    """What is wrong with the field's text, and what somebody else wrote there."""
    text = form.texts[name]
    problem = editing.problem(name, form.texts) if text != form.base[name] else None
    if form.refused.get(name) == text:
        problem = problem or form.problems.get(name)
    if problem:
        remark(problem, "wrong")
    if name in form.theirs and form.theirs[name] != text:
        theirs = form.theirs[name] or "nothing"
        st.button(
            f"{plain(form.changed_by)} wrote **{plain(theirs[:LONGEST_THEIRS])}**",
            key=f"{form.key(name)} theirs", type="tertiary", icon=":material/move_up:", help="Take this value",
            on_click=_take, args=(form, name),
        )  # fmt: skip
    elif name in form.changed and text == form.base[name]:
        remark(f"{form.changed_by} changed it just now")


def _take(form: Form, name: str) -> None:
    form.texts[name] = form.theirs.pop(name)
    st.session_state[form.key(name)] = _as_control(name, form.texts[name])


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
                st.caption(plain(f"{one.company} · {one.reason}" if one.company else one.reason))


def _collect(form: Form) -> None:
    """Read the controls that the browser has, where it has them."""
    for name in form.texts:
        if (key := form.key(name)) in st.session_state:
            form.texts[name] = _as_text(name, st.session_state[key])


def _keep(form: Form) -> None:
    if form.changes != form.kept:
        form.kept = form.changes
        contact_draft.keep(form.contact_id, form.kept, version=form.version, by=form.by)


def _as_control(name: str, text: str) -> Any:
    match FIELDS[name].kind:
        case Kind.LIST:
            return values.split(text)
        case Kind.DATE:
            return date.fromisoformat(text) if text else None
        case Kind.CHOICE | Kind.INDUSTRY | Kind.OWNER | Kind.FLAG:
            return text or None
    return text


def _as_text(name: str, value: Any) -> str:
    """Of a control's value; it is typed, and so may be the text of a list or of anything."""
    return as_text(name, value) if isinstance(value, list | date) else value or ""


def _labels(names: Iterable[str]) -> str:
    return ", ".join(columns.label(name) for name in names if name in FIELDS)
