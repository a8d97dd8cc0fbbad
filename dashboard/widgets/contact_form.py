"""What is typed of a contact until it is saved.

It lives in one Form of the browser's session, whatever becomes of the controls, and as a draft in the database: neither
a refusal nor an expired session, a deletion by somebody else or a restart loses any of it.
"""

import itertools
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from secrets import token_hex
from typing import Any

import streamlit as st

from dashboard.widgets import contact_draft
from dashboard.widgets.contact_draft import Draft
from models.contacts import likeness, records, values
from models.contacts.editing import as_text
from models.contacts.records import Record
from models.contacts.table import ABOUT_EMAIL, FIELDS
from models.errors import AlreadyThere, AppError, ChangedMeanwhile, Conflict, Gone, InvalidValues
from models.fields import Kind
from models.filters import visible_fields
from models.permissions import Actor

KEY = "contact form"
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
    draft: str = field(default_factory=lambda: token_hex(8))  # the name of its own
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
    leaving: bool = False  # Discard was pressed, and is asked about
    has_new_address: bool = False  # so that what was known of the old one no longer stands in the controls
    there: AlreadyThere | None = None  # the contact is stored already: `refused` was to be created beside it

    @property
    def contact_id(self) -> int | None:
        return self.record.id if self.record else None

    @property
    def changes(self) -> dict[str, str]:
        return {name: text for name, text in self.texts.items() if text != self.base[name]}

    @property
    def is_told(self) -> bool:
        """Whether the person has read that this very contact is there already."""
        same = all(self.texts.get(name) == self.refused.get(name) for name in likeness.CERTAIN)
        return self.there is not None and same

    def key(self, name: str) -> str:
        return f"{KEY} {self.contact_id} {self.number} {name}"

    def controlled(self, name: str) -> Any:
        """The value of the field's control, which is given what is typed where it is new."""
        return st.session_state.setdefault(self.key(name), _as_control(name, self.texts[name]))

    def collect(self) -> None:
        """Read the controls that the browser has, where it has them."""
        for name in self.texts:
            if (key := self.key(name)) in st.session_state:
                self.texts[name] = _as_text(name, st.session_state[key])
        self._follow_address()

    def _follow_address(self) -> None:
        """What is known of an address is emptied once it is changed, and comes back with it."""
        changed = self.record is not None and self.texts.get("email") != self.base.get("email")
        if changed == self.has_new_address:
            return
        self.has_new_address = changed
        for name in self._about_address():
            self.texts[name] = "" if changed else self.base[name]
            st.session_state[self.key(name)] = _as_control(name, self.texts[name])

    def _about_address(self) -> list[str]:
        return [name for name in ABOUT_EMAIL["email"] if name in self.texts]

    def keep(self, *, again: bool = False) -> None:
        """Store the draft, where it is another than before; `again` also where it is not, as another tab that went on
        from the same draft may have taken it away."""
        if self.changes != self.kept or (again and self.kept):
            self.kept = self.changes
            contact_draft.keep(self.contact_id, self.draft, self.kept, version=self.version, by=self.by)

    def show_to(self, by: Actor) -> None:
        """Whoever has it open may see less by now than when it was opened."""
        if by == self.by:
            return
        self.by, seen = by, set(visible_fields(by))
        for texts in (self.texts, self.base, self.theirs):
            for name in texts.keys() - seen:
                del texts[name]
        self.changed = tuple(name for name in self.changed if name in seen)
        if self.record:
            self.record = self.record.seen_by(by)

    def take(self, name: str) -> None:
        """Somebody else's value in place of what was typed."""
        self.texts[name] = self.theirs.pop(name)
        st.session_state[self.key(name)] = _as_control(name, self.texts[name])

    def stay(self) -> None:
        self.leaving = False

    def close(self) -> None:
        """Saved or discarded: the draft goes, too."""
        contact_draft.forget(self.contact_id, self.draft, by=self.by)
        st.session_state.pop(KEY, None)

    def save(self, *, anyway: bool = False, by: Actor) -> int | None:
        """Closes the form and returns the contact's id; else the form knows why not. Restores it where it is `gone`;
        creates beside a contact that is there already only what the person was told of, and `anyway`."""
        anyway = anyway and self.is_told
        self.problems, self.refused, self.there = {}, dict(self.texts), None
        try:
            saved = self._written(by, anyway=anyway)
        except InvalidValues as error:
            self.problems = error.problems
        except ChangedMeanwhile as error:
            self._take_in(error)
        except AlreadyThere as error:
            self.there = error
        except Gone as gone:
            self.gone = gone
        except AppError as error:
            self.problems = {InvalidValues.FORM: error.sentence}
        else:
            self.close()
            return saved
        return None

    def _written(self, by: Actor, *, anyway: bool) -> int:
        if self.record is None:
            return records.create(self.texts, anyway=anyway, by=by)
        if self.gone:
            with suppress(Conflict):  # somebody else restored it just now
                records.restore(self.record.id, by=by)
            self.gone = None
        known = {name: self.texts[name] for name in self._about_address()} if self.has_new_address else {}
        return records.update(self.record.id, self.changes | known, version=self.version, by=by).id

    def _take_in(self, meanwhile: ChangedMeanwhile) -> None:
        """Their values where this person typed none; beside what was typed where both did."""
        written = {name: as_text(name, value) for name, value in meanwhile.fields.items() if name in self.texts}
        typed = self.changes
        self.texts |= {name: text for name, text in written.items() if name not in typed}
        self.base |= written
        self.theirs |= {name: text for name, text in written.items() if name in typed}
        self.theirs = {name: text for name, text in self.theirs.items() if text != self.texts[name]}
        self.changed = tuple(dict.fromkeys([*self.changed, *written]))
        self.changed_by, self.changed_at, self.version = meanwhile.by_name, meanwhile.at, meanwhile.version
        self.number = next(_numbers)


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
        form.version, form.draft = draft.version, draft.name
        form.kept, form.kept_at = dict(draft.texts), draft.at
        form.has_new_address = record is not None and "email" in form.changes
    st.session_state[KEY] = form
    return form


def keep_typed() -> bool:
    """Where the session has ended: store as a draft what the browser sent last, for whoever had opened the form.
    Whether there is any.

    Nothing else is written without a session; this is that person's own note, and theirs alone to read.
    """
    form = st.session_state.get(KEY)
    if isinstance(form, Form):
        form.collect()
        form.keep(again=True)
        return bool(form.kept)
    return False


def _as_control(name: str, text: str) -> Any:
    match FIELDS[name].kind:
        case Kind.LIST:
            return values.split(text)
        case Kind.DATE:
            return date.fromisoformat(text) if text else None
    return text


def _as_text(name: str, value: Any) -> str:
    """Of a control's value; it is typed, and so may be the text of a list or of anything."""
    return as_text(name, value) if isinstance(value, list | date) else value or ""
