"""What is chosen for an import's columns until its plan is made.

It lives in one Choices of the browser's session, whatever becomes of the controls, and as a draft in the database:
neither an expired session nor a restart loses any of it.
"""

import itertools
from dataclasses import dataclass, field
from datetime import datetime

import streamlit as st

from models import import_drafts
from models.contacts.table import FULL_NAME
from models.import_drafts import Chosen
from models.imports import Import, Keep
from models.permissions import Actor

KEY = "import choices"
EXTRA, LEFT_OUT = "extra", "left out"  # the choices of a column that fills no field
AS_FILE = "as the file"
_numbers = itertools.count(1)


@dataclass
class Choices:
    """What one person chooses for one import, since somebody gave the last order for it."""

    by: Actor
    import_id: int
    order: int
    headers: list[str]
    stored: Chosen  # what the import has
    start: Chosen  # what the controls began with
    now: Chosen
    kept: Chosen | None  # the draft as it is stored
    kept_at: datetime | None  # of the draft that the step was opened with
    number: int = field(default_factory=lambda: next(_numbers))  # of the controls: a new one makes new controls

    def key(self, control: str) -> str:
        return f"{control} {self.import_id} {self.number}"

    def collect(self) -> None:
        """Read the controls where the browser has them; those that are about to be drawn begin with what is chosen."""
        seen = st.session_state
        if self.key("columns") not in seen:
            self.start = self.now
            return
        edits = seen[self.key("columns")]["edited_rows"]
        columns, left_out = {}, []
        keep_fields = {name: keep for name, keep in self.start.keep_fields.items() if name == EXTRA}
        for place, header in enumerate(self.headers):
            edit = edits.get(place, {})
            name, keep = edit.get("field", of(self.start, header)), edit.get("keep", policy(self.start, header))
            if name == LEFT_OUT:
                left_out.append(header)
            elif name not in (EXTRA, None):
                columns[header] = name
                keep_fields |= {} if keep in (AS_FILE, None) else dict.fromkeys(parts(name), Keep(keep))
        chosen = {one: seen.get(self.key(one), getattr(self.now, one)) for one in ("match", "keep", "dated_by")}
        self.now = Chosen(columns, left_out=tuple(left_out), keep_fields=keep_fields, **chosen)

    def keep(self) -> None:
        """Store the draft, where it is another than before; what the import has needs none."""
        wanted = None if self.now == self.stored else self.now
        if wanted == self.kept:
            return
        self.kept = wanted
        if wanted:
            import_drafts.keep(self.import_id, wanted, by=self.by)
        else:
            import_drafts.forget(self.import_id, by=self.by)

    def discard(self) -> None:
        """Go back to what the import has."""
        import_drafts.forget(self.import_id, by=self.by)
        close()


def of(chosen: Chosen, header: str) -> str:
    """What is chosen for the column: a field, EXTRA or LEFT_OUT."""
    return LEFT_OUT if header in chosen.left_out else chosen.columns.get(header, EXTRA)


def policy(chosen: Chosen, header: str) -> str:
    """What is chosen for the field that the column fills: a Keep, or AS_FILE."""
    name = chosen.columns.get(header)
    return chosen.keep_fields.get(parts(name)[0], AS_FILE) if name else AS_FILE


def parts(name: str) -> tuple[str, ...]:
    """The fields that a column fills."""
    return ("first_name", "last_name") if name == FULL_NAME else (name,)


def opened(found: Import, *, by: Actor) -> Choices:
    """Those of this browser's session; else new ones, which go on from the person's draft."""
    choices = st.session_state.get(KEY)
    is_same = isinstance(choices, Choices) and (choices.import_id, choices.order) == (found.id, found.orders)
    if is_same and choices.by.id == by.id:
        return choices
    stored, draft = import_drafts.stored(found), import_drafts.find(found.id, by=by)
    start = draft.chosen if draft else stored
    headers = list((found.opened or {})["headers"])
    made = Choices(
        by, found.id, found.orders, headers, stored, start, now=start, kept=draft and draft.chosen,
        kept_at=draft and draft.at,
    )  # fmt: skip
    st.session_state[KEY] = made
    return made


def take(choices: Choices, chosen: Chosen) -> None:
    """Let the controls begin anew, with what was chosen elsewhere."""
    choices.start = choices.now = chosen
    choices.number = next(_numbers)
    choices.keep()


def close() -> None:
    """They are planned, or discarded."""
    st.session_state.pop(KEY, None)


def keep_chosen() -> None:
    """Where the session has ended: store as a draft what the browser sent last, for whoever had opened the step.

    Nothing else is written without a session; this is that person's own note, and theirs alone to read.
    """
    choices = st.session_state.get(KEY)
    if isinstance(choices, Choices):
        choices.collect()
        choices.keep()
