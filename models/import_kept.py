"""The contacts that the last undo of an import, or the undo of that, left as they were: which fields, who had changed
them, when, and what they would have gone back to. Everybody is told of the columns that they see."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal, or_, select, union_all
from sqlalchemy.orm import Session

from models import audit, csv_lines, import_undos, imports
from models.audit import Event
from models.contacts.editing import as_text
from models.contacts.history import ContactVersion, person, readable
from models.contacts.table import FIELDS, Contact
from models.contacts.undo_values import EXTRA
from models.database import LARGEST_BIGINT, reading, writing
from models.errors import NotAllowed
from models.filters import visible_fields
from models.import_undos import ImportKept, ImportUndo, Kind, Why
from models.imports import Import
from models.permissions import Actor

HEADERS = (
    "Contact", "Name", "Why", "Field", "Stayed", "Would be", "Changed by", "Changed at", "By import", "The rest",
)  # fmt: skip
WORDS = {
    Why.CHANGED: "changed since",
    Why.CREATED: "created by the import, and changed since",
    Why.DELETED: "deleted since",
    Why.MERGED: "merged into another one since",
    Why.RESTORED: "restored by hand, and changed",
}
BATCH = 500  # contacts that are read at once


@dataclass(frozen=True)
class Run:
    """An undo, or the undo of one: `counts` are {"removed" or "returned", "restored", "kept"}."""

    kind: Kind
    at: datetime
    by_name: str
    counts: dict[str, int]


@dataclass(frozen=True)
class Since:
    """Who changed something, when; `import_id` is the import that did it, or that was taken back by it."""

    by_name: str
    at: datetime
    import_id: int | None
    took_back: bool = False

    @property
    def words(self) -> str:
        """Who or what it was: “Ann”, “import 9 (Ann)”, “the undo of import 9 (Ann)”."""
        if self.import_id is None:
            return self.by_name
        return f"{'the undo of ' if self.took_back else ''}import {self.import_id} ({self.by_name})"


@dataclass(frozen=True)
class KeptField:
    """A field, or "extra": what it held and goes on to hold, and what it would have gone back to; None is nothing.
    Both None also where values are hidden."""

    name: str
    stayed: Any
    would_be: Any
    since: Since

    @property
    def title(self) -> str:
        return FIELDS[self.name].title if self.name in FIELDS else "Extra"

    def texts(self) -> tuple[str, str]:
        """What it stayed, and what it would be."""
        return _text(self.name, self.stayed), _text(self.name, self.would_be)


@dataclass(frozen=True)
class Kept:
    """A contact of which something was left as it is. `since` is the newest change; `rest`: whether its other fields
    went back."""

    contact_id: int
    label: str
    why: Why
    fields: tuple[KeptField, ...]
    since: Since
    rest: bool


def last(import_id: int, *, by: Actor) -> Run | None:
    """The last undo of the import, or redo; None where there was none, or an older version did it. Raises NotAllowed,
    NotFound."""
    imports.get(import_id, by=by)
    with reading() as session:
        found = import_undos.last(session, import_id)
        if found is None:
            return None
        by_name = session.scalars(select(person(found.by_id))).one()
        return Run(Kind(found.kind), found.at, by_name, found.counts or {})


def page(import_id: int, *, number: int, size: int, by: Actor) -> tuple[list[Kept], int]:
    """Those of page `number` (from 1) by the contacts' numbers, and how many there are of whom `by` may see something;
    without values where those of the import are hidden. Raises NotAllowed, NotFound."""
    found = imports.get(import_id, by=by)
    with reading() as session:
        run = import_undos.last(session, import_id)
        if run is None:
            return [], 0
        wanted = _of(run, by)
        total = session.scalar(select(func.count()).select_from(wanted.subquery())) or 0
        listed = session.scalars(wanted.order_by(ImportKept.id).limit(size).offset((number - 1) * size)).all()
        return _told(session, run, listed, found, by), total


def rows(import_id: int, *, by: Actor) -> Iterator[Kept]:
    """All of them, streamed. Raises NotAllowed, also where the values of the import are hidden, and NotFound."""
    found = _with_values(import_id, by)
    with reading() as session:
        run, after = import_undos.last(session, import_id), 0
        while run is not None:
            wanted = _of(run, by).where(ImportKept.id > after).order_by(ImportKept.id)
            listed = session.scalars(wanted.limit(BATCH)).all()
            if not listed:
                return
            yield from _told(session, run, listed, found, by)
            after = listed[-1].id
            session.expunge_all()


def as_csv(import_id: int, *, by: Actor, noted: bool = True) -> Iterator[str]:
    """The lines of a CSV file: the header, then one for each field that stayed, or for a contact without any.

    `noted`, that `by` took them is written to the audit log. Raises NotAllowed, also where the values of the import are
    hidden, and NotFound.
    """
    _with_values(import_id, by)
    if noted:
        with writing(by) as session:
            run = import_undos.last(session, import_id)
            number = (run.counts or {}).get("kept", 0) if run is not None else 0
            audit.write(session, Event.IMPORT_KEPT_DOWNLOADED, f"import {import_id}", by=by, contacts=number)
    return _lines(import_id, by)


def _lines(import_id: int, by: Actor) -> Iterator[str]:
    yield csv_lines.line(HEADERS)
    for one in rows(import_id, by=by):
        rest = "went back" if one.rest else ""
        told = [(field.title, *field.texts(), field.since) for field in one.fields] or [("", "", "", one.since)]
        for title, stayed, would_be, since in told:
            source = "" if since.import_id is None else str(since.import_id)
            moment = since.at.isoformat(timespec="seconds")
            account = (str(one.contact_id), one.label, WORDS[one.why], title, stayed, would_be)
            yield csv_lines.line([*account, since.by_name, moment, source, rest])


def _with_values(import_id: int, by: Actor) -> Import:
    found = imports.get(import_id, by=by)
    if why := imports.why_hidden(found, by=by):
        raise NotAllowed(why)
    return found


def _of(run: ImportUndo, by: Actor) -> Select[ImportKept]:
    """Not those of whom only hidden fields stayed: that they were changed is told nowhere else either."""
    wanted = select(ImportKept).where(ImportKept.undo_id == run.id)
    if by.columns is None:
        return wanted
    return wanted.where(or_(ImportKept.fields == [], ImportKept.fields.overlap(visible_fields(by))))


def _told(session: Session, run: ImportUndo, listed: Sequence[ImportKept], found: Import, by: Actor) -> list[Kept]:
    seen = [*visible_fields(by), *([EXTRA] if by.columns is None else [])]
    changes = _changes(session, {version for one in listed for version in one.changes})
    held = _held(session, run, listed, seen)
    before = _versions(session, {one.before for one in listed if one.before is not None}, seen)
    hidden = imports.why_hidden(found, by=by) is not None

    def newest(one: ImportKept) -> Since:
        """Of the changes that `by` may know of."""
        pairs = zip(one.fields, one.changes, strict=False)
        return changes[max([version for name, version in pairs if name in seen] or one.changes)]

    def fields(one: ImportKept) -> Iterator[KeptField]:
        now, then = held.get(one.contact_id, {}), before.get(one.before, {})
        for name, version in zip(one.fields, one.changes, strict=False):
            if name in seen:
                stayed, would_be = (None, None) if hidden else _apart(name, now.get(name), then.get(name))
                yield KeptField(name, stayed, would_be, changes[version])

    return [
        Kept(
            one.contact_id, _label(one.contact_id, held.get(one.contact_id, {})), Why(one.why), tuple(fields(one)),
            newest(one), one.rest,
        )
        for one in listed
    ]  # fmt: skip


def _changes(session: Session, versions: set[int]) -> dict[int, Since]:
    """By the version that was replaced."""
    old = ContactVersion.c
    undone = select(ImportUndo.import_id).where(ImportUndo.id == old.replaced_undo).scalar_subquery()
    wanted = select(
        old.version_id,
        person(old.replaced_by).label("by_name"),
        old.replaced_at,
        old.replaced_import,
        undone.label("undone"),
    ).where(old.version_id.in_(versions))
    return {
        row.version_id: Since(
            row.by_name, row.replaced_at, row.replaced_import or row.undone,
            took_back=row.replaced_import is None and row.undone is not None,
        )
        for row in session.execute(wanted)
    }  # fmt: skip


def _held(
    session: Session, run: ImportUndo, listed: Sequence[ImportKept], seen: Sequence[str]
) -> dict[int, dict[str, Any]]:
    """Contact -> what it held just then: the first version that was replaced later, or how it is now. Of one that is
    gone what it held last."""
    ids = [one.contact_id for one in listed]
    old, contacts = ContactVersion.c, Contact.__table__
    gone = {one.changes[-1] for one in listed if one.why in (Why.DELETED, Why.MERGED)}
    later = or_(old.version_id > run.mark, old.version_id.in_(gone)) if gone else old.version_id > run.mark
    moments = union_all(
        select(old.id, old.version_id).where(old.id.in_(ids), later),
        select(contacts.c.id, literal(LARGEST_BIGINT)).where(contacts.c.id.in_(ids)),
    ).subquery()
    first = select(moments.c[0], func.min(moments.c[1])).group_by(moments.c[0])
    versions = dict(session.execute(first).all())
    was = _versions(session, {version for version in versions.values() if version != LARGEST_BIGINT}, seen)
    now = [contact for contact, version in versions.items() if version == LARGEST_BIGINT]
    is_now = _read(session, Contact.__table__, contacts.c.id, contacts.c.id.in_(now), seen) if now else {}
    return {contact: was.get(version) or is_now[contact] for contact, version in versions.items()}


def _versions(session: Session, versions: set[int], seen: Sequence[str]) -> dict[int | None, dict[str, Any]]:
    old = ContactVersion.c
    return _read(session, ContactVersion, old.version_id, old.version_id.in_(versions), seen) if versions else {}


def _read(
    session: Session, table: Any, key: ColumnElement[int], which: ColumnElement[bool], seen: Sequence[str]
) -> dict[Any, dict[str, Any]]:
    columns = [*readable(table, [name for name in seen if name in FIELDS]), *([table.c.extra] if EXTRA in seen else [])]
    found = session.execute(select(key.label("key"), *columns).where(which)).mappings()
    return {row["key"]: {name: row[name] for name in seen} for row in found}


def _apart(name: str, now: Any, then: Any) -> tuple[Any, Any]:
    """Of what is kept beside the fields only the keys that are not the same in both."""
    if name != EXTRA:
        return now, then
    now, then = now or {}, then or {}
    apart = [key for key in now | then if now.get(key) != then.get(key)]
    stayed, would_be = ({key: one[key] for key in apart if key in one} for one in (now, then))
    return stayed or None, would_be or None


def _text(name: str, value: Any) -> str:
    if name == EXTRA:
        return "; ".join(f"{key}: {one}" for key, one in (value or {}).items())
    return as_text(name, value)


def _label(contact_id: int, values: dict[str, Any]) -> str:
    seen = values.get
    name = " ".join(part for part in (seen("first_name"), seen("last_name")) if part)
    return name or seen("company") or seen("email") or f"Contact {contact_id}"
