"""Up to a thousand contacts created, changed and deleted as each of them says, in one transaction: all of it or none.

What is the same for many contacts is in bulk.py. Whatever one of them would be refused for alone is told of it here by
its place, of all of them at once. Reading, comparing and writing takes a statement or two each, however many they are.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import ARRAY, BigInteger, RowMapping, any_, insert, literal, select
from sqlalchemy import delete as sql_delete
from sqlalchemy import text as sql
from sqlalchemy.orm import Session

from models import audit
from models.audit import Event
from models.contacts import editing, history, likeness, records
from models.contacts.records import Record
from models.contacts.table import FIELDS, Contact
from models.errors import AppError, Conflict, InvalidInput, RefusedItems
from models.fields import Field
from models.permissions import OPERATOR, Actor

MOST = 1_000
_contacts = Contact.__table__


@dataclass(frozen=True)
class Create:
    """As records.create takes them."""

    values: Mapping[str, str | None]
    anyway: bool = False


@dataclass(frozen=True)
class Change:
    """As records.update takes them; without a version whatever stands there is changed."""

    id: int
    values: Mapping[str, str | None]
    version: int | None


@dataclass(frozen=True)
class Delete:
    id: int
    version: int | None


Item = Create | Change | Delete


@dataclass(frozen=True)
class Written:
    """`version` is what the contact is at now; None of one that was deleted."""

    id: int
    version: int | None


def write(items: Sequence[Item], *, by: Actor) -> list[Written]:
    """Carry all of them out, each with its audit line; in the order of the items.

    Raises NotAllowed, InvalidInput (none, or more than MOST), RefusedItems (nothing was written), Unavailable.
    """
    with editing.editing(by) as session:
        if not 1 <= len(items) <= MOST:
            raise InvalidInput(f"Name 1 to {MOST:,} contacts at a time: these are {len(items):,}.", field="items")
        checked = _Checked(session, items, by)
        if checked.problems:
            raise RefusedItems(checked.problems, of=len(items))
        was = records.read_many(session, checked.rows, by=OPERATOR)
        ids = _insert(session, checked.created) | {place: item.id for place, item in checked.of(Change, Delete)}
        _delete(session, [item.id for _, item in checked.of(Delete)])
        _update(session, {ids[place]: values for place, values in checked.changed.items() if values})
        now = records.read_many(session, list(ids.values()), by=OPERATOR)
        for place in range(len(items)):
            _note(session, was.get(ids[place]), now.get(ids[place]), by)
        return [Written(ids[place], _version(now.get(ids[place]))) for place in range(len(items))]


class _Checked:
    """What the items put into each column, by their places, and the `problems` of those that do not fit. The contacts
    that they name are locked, in the order of their numbers."""

    def __init__(self, session: Session, items: Sequence[Item], by: Actor) -> None:
        self.session, self.items, self.by = session, items, by
        self.problems: dict[int, AppError] = {}
        self.rows = self._locked()
        self.before = records.read_many(session, self.rows, by=by)
        # Industries and owners are looked up once for each name.
        self.known = cache(lambda field, text, country: editing.stored(session, field, text, country=country))
        self._look_at_named()
        self.changed: dict[int, dict[str, Any]] = {}
        self.created: dict[int, dict[str, Any]] = {}
        for place, item in self.of(Change):
            if place not in self.problems:
                self._change(place, item)
        for place, item in self.of(Create):
            with self._at(place):
                self.created[place] = records.new_columns(session, item.values, stored=self._stored, by=by)
        self._look_for_twins()

    def of(self, *kinds: Any) -> Iterator[tuple[int, Any]]:
        """Those of these kinds, with their places."""
        return ((place, item) for place, item in enumerate(self.items) if isinstance(item, kinds))

    def _locked(self) -> dict[int, RowMapping]:
        ids = [item.id for _, item in self.of(Change, Delete) if 0 < item.id <= history.LARGEST_ID]
        wanted = select(_contacts).where(_among(ids)).order_by(_contacts.c.id).with_for_update()
        return {row["id"]: row for row in self.session.execute(wanted).mappings()}

    @contextmanager
    def _at(self, place: int) -> Iterator[None]:
        """What is refused within is a problem of that item; the first one counts."""
        try:
            yield
        except AppError as error:
            self.problems.setdefault(place, error)

    def _look_at_named(self) -> None:
        """Whether they are there, each once, and as they were seen."""
        first: dict[int, int] = {}
        for place, item in self.of(Change, Delete):
            with self._at(place):
                if first.setdefault(item.id, place) != place:
                    raise Conflict(f"Contact {item.id} is named twice, here and as number {first[item.id]}.")
                if item.id not in self.rows:
                    raise history.missing(self.session, item.id, self.by)
                if item.version is not None:
                    records.require_unmoved(self.session, self.before[item.id], item.version, by=self.by)

    def _change(self, place: int, item: Change) -> None:
        with self._at(place):
            self.changed[place] = records.changed_columns(
                self.session, item.values, self.before[item.id], self.rows[item.id], stored=self._stored, by=self.by
            )

    def _look_for_twins(self) -> None:
        """New ones that can be no others than contacts that are there, or than each other, unless they are wanted
        anyway."""
        looked_at = {place: records.entered(item.values) for place, item in self.of(Create) if not item.anyway}
        for place, there in likeness.certain_of_many(self.session, looked_at, by=self.by).items():
            self.problems.setdefault(place, records.already_there(there))
        first: dict[tuple[str, str], int] = {}
        for place, texts in looked_at.items():
            for key in likeness.same(texts, by=self.by):
                if first.setdefault(key, place) != place:
                    told = f"{FIELDS[key[0]].title}: number {first[key]} of these has the same. Nothing was created."
                    self.problems.setdefault(place, Conflict(told))

    def _stored(self, _: Session, field: Field, text: str, *, country: str | None = None) -> Any:
        return self.known(field, text, country)


def _insert(session: Session, created: Mapping[int, Mapping[str, Any]]) -> dict[int, int]:
    """Place -> the new contact's id."""
    columns = dict.fromkeys(column for values in created.values() for column in values)
    if not created:
        return {}
    rows = [dict.fromkeys(columns) | dict(values) for values in created.values()]
    made = insert(Contact).returning(Contact.id, sort_by_parameter_order=True)
    return dict(zip(created, session.scalars(made, rows), strict=True))


def _delete(session: Session, ids: Sequence[int]) -> None:
    if ids:
        session.execute(sql_delete(Contact).where(_among(ids)), execution_options={"synchronize_session": False})


def _note(session: Session, was: Record | None, now: Record | None, by: Actor) -> None:
    """The line that the operation of one contact writes; none where nothing changed."""
    old, new = (one.texts() if one else {} for one in (was, now))
    names = [name for name in FIELDS if old.get(name, "") != new.get(name, "")]
    before, after = ({name: texts[name] for name in names} if texts else None for texts in (old, new))
    event, told = Event.CONTACT_CHANGED, {"before": before, "after": after}
    if was is None:
        event, told = Event.CONTACT_CREATED, {"after": after}
    elif now is None:
        event, told = Event.CONTACT_DELETED, {"before": {name: old[name] for name in editing.IDENTIFYING if old[name]}}
    elif not names:
        return
    contact = was or now
    assert contact is not None
    audit.write(session, event, records.subject(contact.id), by=by, **told)


def _among(ids: Sequence[int]) -> Any:
    return _contacts.c.id == any_(literal(list(ids), ARRAY(BigInteger)))


def _version(record: Record | None) -> int | None:
    return record.version if record else None


def _update(session: Session, changed: Mapping[int, Mapping[str, Any]]) -> None:
    """Each contact's own columns, in one statement, so that it leaves one version of each."""
    if not changed:
        return
    columns = dict.fromkeys(column for values in changed.values() for column in values)
    dialect = session.get_bind().dialect
    types = {name: _contacts.c[name].type.compile(dialect=dialect) for name in columns}
    given = "".join(f", {name} {kind}" for name, kind in types.items())
    put = ", ".join(f"{name} = CASE WHEN v.given ? '{name}' THEN v.{name} ELSE contacts.{name} END" for name in columns)
    rows = [{"id": one, "given": dict.fromkeys(values, 1), **values} for one, values in changed.items()]
    session.execute(
        sql(
            f"""UPDATE contacts SET {put}, updated_at = now()
            FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS v (id bigint, given jsonb{given})
            WHERE contacts.id = v.id"""
        ),
        {"rows": json.dumps(rows, default=str)},
    )
