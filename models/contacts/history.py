"""Older versions of contacts, and what they tell: who changed what, when.

A statement-level trigger copies every replaced or deleted row, whoever writes it.

The trigger lists the columns: a migration that adds one to contacts adds it to contact_history and makes
`keep_contact_versions` anew (see 0004_undo.sql).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    DateTime,
    FromClause,
    Identity,
    Index,
    Integer,
    Row,
    Select,
    Table,
    Text,
    func,
    null,
    select,
    text,
)
from sqlalchemy.orm import Session

from models.contacts.table import FIELDS, Contact
from models.database import Base, reading
from models.duplicates.tables import ContactMerge, ContactMergePart
from models.errors import Gone, NotFound
from models.fields import Kind as FieldKind
from models.filters import visible_fields
from models.import_undos import ImportUndo, Kind
from models.imports import Import
from models.industries import Industry
from models.permissions import OPERATOR, Actor, Permission, require
from models.users import User

HOW = ("update", "delete")

ContactVersion = Table(
    "contact_history",
    Base.metadata,
    Column("version_id", BigInteger, Identity(), primary_key=True),
    Column("replaced_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("replaced_how", Text, nullable=False),
    Column("replaced_by", Integer),
    Column("replaced_import", Integer),
    Column("replaced_undo", Integer),
    *(Column(column.name, column.type, nullable=column.name != "id") for column in Contact.__table__.columns),
    Index("contact_history_contact", "id", "version_id"),
    Index("contact_history_import", "replaced_import"),
    # Versions lie as they came, so that a few bytes for each hundred pages say where those after a moment begin.
    Index("contact_history_moment", "replaced_at", postgresql_using="brin", postgresql_with={"autosummarize": "on"}),
    Index("contact_history_undo", "replaced_undo", postgresql_where=text("replaced_undo IS NOT NULL")),
    Index("contact_history_source", "import_id", postgresql_where=text("import_id IS NOT NULL")),
    # Deletions, newest first, are few among the versions: see deleted.py.
    Index(
        "contact_history_deleted",
        "version_id",
        postgresql_include=["id"],
        postgresql_where=text("replaced_how = 'delete'"),
    ),
)

LARGEST_ID = 2**63 - 1
MOST_CHANGES = 200  # of a contact, the newest; the creation besides
NO_FIELD = ("version_id", "replaced_at", "replaced_how", "replaced_by", "replaced_import", "replaced_undo")
WITH_OTHERS = "with_others"
ORIGIN = ("created_at", "created_by", "import_id", "import_line")


class What(StrEnum):
    CREATED = "created"
    CHANGED = "changed"
    TAKEN_BACK = "taken back"  # the import that had changed it
    BROUGHT_BACK = "brought back"  # that import, whose undo was undone
    DELETED = "deleted"
    RESTORED = "restored"


@dataclass(frozen=True)
class FieldChange:
    """Industries and owners by name and e-mail; None is nothing."""

    name: str
    old: Any
    new: Any


@dataclass(frozen=True)
class Change:
    """`version` is the contact_history row that the change replaced (None: the creation); `line` is one of the file.
    `with_others`: the same statement changed other contacts, too; `merged` are those that were merged into this one."""

    what: What
    at: datetime
    by_name: str
    fields: tuple[FieldChange, ...] = ()
    version: int | None = None
    import_id: int | None = None
    file_name: str | None = None
    line: int | None = None
    with_others: bool = False
    merged: tuple[int, ...] = ()

    @property
    def can_be_undone(self) -> bool:
        """Whether it changed anything that the reader sees, as long as nothing has changed it again."""
        return self.what in (What.CHANGED, What.TAKEN_BACK, What.BROUGHT_BACK) and bool(self.fields)

    @property
    def merge(self) -> str:
        """What was merged into the contact: “contact 12”, “contacts 12, 13”."""
        return f"contact{'s' if len(self.merged) > 1 else ''} {', '.join(map(str, self.merged))}"


def of_contact(contact_id: int, *, until: datetime | None = None, by: Actor, most: int = MOST_CHANGES) -> list[Change]:
    """What happened to the contact `until` a moment, the newest first, `most` of it beside the creation; a change of
    fields that `by` may not see is left out.

    Of a deleted contact for who may restore it. Raises NotAllowed, NotFound, Gone.
    """
    require(by, Permission.CONTACTS_READ)
    seen = visible_fields(by)
    with reading() as session:
        states, has_first = _states(session, contact_id, seen, most, until)
        is_there = session.scalar(select(Contact.id).where(Contact.id == contact_id)) if states else None
        if not states or not (is_there or by.may(Permission.CONTACTS_EDIT)):
            raise missing(session, contact_id, by)
        names = _Names.of(session, states)
    told = [_creation(states[0], seen, names)] if has_first else []
    for place, state in enumerate(states):
        if state["replaced_how"]:
            told.append(_change(states[max(0, place - 1) : place + 2], state, seen, names))
    return [one for one in reversed(told) if one.what is not What.CHANGED or one.fields]


def newest_version(contact_id: int | ColumnElement[int]) -> ColumnElement[int]:
    """SQL for the number of the contact's newest older version; 0 where it was never changed.

    It moves with every write, whoever writes, since the trigger makes it; it tells what was written since, which xmin
    does not; and it is the same after a backup was restored.
    """
    newest = select(func.max(ContactVersion.c.version_id)).where(ContactVersion.c.id == contact_id)
    return func.coalesce(newest.scalar_subquery(), 0)


def readable(table: FromClause, names: Iterable[str]) -> list[ColumnElement[Any]]:
    """The columns of contacts or of their history under the fields' names; industries by name, owners by e-mail."""
    return [_readable(table.c[FIELDS[name].column], FIELDS[name].kind).label(name) for name in names]


def person(user_id: int | ColumnElement[Any] | None) -> ColumnElement[str]:
    """SQL for the name of a user; without one it was the operator at the command line."""
    named = select(User.name).where(User.id == user_id).scalar_subquery()
    return func.coalesce(named, OPERATOR.name)


def missing(session: Session, contact_id: int, by: Actor) -> NotFound:
    """The error for a contact that is not there: Gone with the moment, and for who may restore it by whom."""
    last = last_deletion(session, contact_id)
    if last is None:
        return NotFound(f"There is no contact {contact_id}.")
    if (survivor := _merged_into(session, last.version_id)) is not None:
        # By whom is for who may take it apart, as with other deletions.
        who = f" by {last.by_name}" if by.may(Permission.CONTACTS_EDIT) else ""
        sentence = f"Contact {contact_id} was merged into contact {survivor}{who}."
        return Gone(sentence, at=last.at, by_name=last.by_name if who else None, into=survivor)
    if by.may(Permission.CONTACTS_EDIT):
        return Gone(f"Contact {contact_id} was deleted by {last.by_name}.", at=last.at, by_name=last.by_name)
    return Gone(f"Contact {contact_id} was deleted.", at=last.at, by_name=None)


def last_deletion(session: Session, contact_id: int) -> Row[tuple[int, datetime, str]] | None:
    """(version_id, at, by_name) of when the contact was last deleted."""
    if not 0 < contact_id <= LARGEST_ID:
        return None
    version = ContactVersion.c
    wanted = select(version.version_id, version.replaced_at.label("at"), person(version.replaced_by).label("by_name"))
    deleted = wanted.where(version.id == contact_id, version.replaced_how == "delete")
    return session.execute(deleted.order_by(version.version_id.desc()).limit(1)).one_or_none()


def _merged_into(session: Session, version_id: int) -> int | None:
    """The contact into which that deletion merged this one."""
    into = select(ContactMerge.survivor_id).join(ContactMergePart, ContactMergePart.merge_id == ContactMerge.id)
    return session.scalar(into.where(ContactMergePart.version_id == version_id, ContactMerge.undone_at.is_(None)))


def _readable(column: ColumnElement[Any], kind: FieldKind) -> ColumnElement[Any]:
    if kind is FieldKind.INDUSTRY:
        return select(Industry.name).where(Industry.id == column).scalar_subquery()
    if kind is FieldKind.OWNER:
        return select(User.email).where(User.id == column).scalar_subquery()
    return column


def _states(
    session: Session, contact_id: int, seen: Sequence[str], most: int, until: datetime | None
) -> tuple[list[dict[str, Any]], bool]:
    """The contact's states, oldest first, and whether its first is among them. The last one is how it is now, or was
    at the moment `until`, with no `replaced_how`; of a deleted contact how it was."""
    if not 0 < contact_id <= LARGEST_ID:
        return [], False
    version = ContactVersion.c
    versions = _selected(ContactVersion, seen, [*(version[name] for name in NO_FIELD), _with_others()])
    versions = versions.where(version.id == contact_id).order_by(version.version_id.desc())
    last = None
    if until:
        later = select(func.min(version.version_id)).where(version.id == contact_id, version.replaced_at > until)
        last = session.scalar(later)
    now = list[dict[str, Any]]()
    nothing = (*NO_FIELD, WITH_OTHERS)
    if last is None:
        contacts = Contact.__table__
        present = _selected(contacts, seen, [null().label(name) for name in nothing])
        now.extend(_dicts(session, present.where(contacts.c.id == contact_id)))
    else:
        [then] = _dicts(session, versions.where(version.version_id == last))
        now.append(then | dict.fromkeys(nothing))
        versions = versions.where(version.version_id < last)
    found = _dicts(session, versions.limit(most + 1))
    return [*reversed(found[:most]), *now], len(found) <= most


def _dicts(session: Session, wanted: Select[Any]) -> list[dict[str, Any]]:
    return [row._asdict() for row in session.execute(wanted)]


def _with_others() -> ColumnElement[bool]:
    """Whether the statement that replaced the version replaced those of other contacts: their numbers are next to it,
    and its moment is theirs."""
    version, other = ContactVersion.c, ContactVersion.alias("other")
    beside = other.c.version_id.in_([version.version_id - 1, version.version_id + 1])
    same = other.c.replaced_at == version.replaced_at, other.c.id != version.id
    return select(other.c.id).where(beside, *same).exists().label(WITH_OTHERS)


def _selected(table: FromClause, seen: Sequence[str], more: Sequence[ColumnElement[Any]]) -> Select[Any]:
    origin = [table.c[name] for name in ORIGIN]
    return select(*readable(table, seen), *origin, *more)


@dataclass(frozen=True)
class _Names:
    """What ids of users and imports stand for, and those of undos: (what it was, the import); and for the version that
    a merge replaced the contacts that went into it."""

    people: dict[int, str]
    files: dict[int, str]
    undos: dict[int, tuple[What, int]]
    merges: dict[int, tuple[int, ...]]

    @classmethod
    def of(cls, session: Session, states: Sequence[Mapping[str, Any]]) -> "_Names":
        users = {state[name] for state in states for name in ("created_by", "replaced_by")} - {None}
        imports = {state[name] for state in states for name in ("import_id", "replaced_import")} - {None}
        runs = select(ImportUndo.id, ImportUndo.kind, ImportUndo.import_id)
        found = session.execute(runs.where(ImportUndo.id.in_({state["replaced_undo"] for state in states} - {None})))
        undos = {
            one.id: (What.TAKEN_BACK if one.kind == Kind.UNDO else What.BROUGHT_BACK, one.import_id) for one in found
        }
        imports |= {import_id for _, import_id in undos.values()}
        people = session.execute(select(User.id, User.name).where(User.id.in_(users))).all()
        files = session.execute(select(Import.id, Import.file_name).where(Import.id.in_(imports))).all()
        merges = _merges(session, [state["version_id"] for state in states])
        return cls({one.id: one.name for one in people}, {one.id: one.file_name for one in files}, undos, merges)

    def person(self, user_id: int | None) -> str:
        return OPERATOR.name if user_id is None else self.people.get(user_id, f"user {user_id}")

    def source(self, import_id: int | None, line: int | None) -> dict[str, Any]:
        name = None if import_id is None else self.files.get(import_id)
        return {"import_id": import_id, "file_name": name, "line": line}


def _merges(session: Session, versions: Iterable[int | None]) -> dict[int, tuple[int, ...]]:
    """Version that a merge replaced -> the contacts that it made one with that one."""
    both = select(ContactMerge.__table__.c.version_id, ContactMergePart.contact_id)
    parts = both.join(ContactMergePart, ContactMergePart.merge_id == ContactMerge.id)
    wanted = parts.where(ContactMerge.version_id.in_([one for one in versions if one is not None]))
    found: dict[int, tuple[int, ...]] = {}
    for version, contact in session.execute(wanted.order_by(ContactMergePart.contact_id)):
        found[version] = (*found.get(version, ()), contact)
    return found


def _creation(first: Mapping[str, Any], seen: Sequence[str], names: _Names) -> Change:
    filled = tuple(FieldChange(name, None, first[name]) for name in seen if first[name] is not None)
    source = names.source(first["import_id"], first["import_line"])
    return Change(What.CREATED, first["created_at"], names.person(first["created_by"]), filled, **source)


def _change(
    around: Sequence[Mapping[str, Any]], state: Mapping[str, Any], seen: Sequence[str], names: _Names
) -> Change:
    """How `state` ended; `around` holds the state before it, where there is one, and the one after it."""
    at, by_name, version = state["replaced_at"], names.person(state["replaced_by"]), state["version_id"]
    undone, of_import = names.undos.get(state["replaced_undo"], (None, None))
    others = {WITH_OTHERS: state[WITH_OTHERS]} if undone is None else names.source(of_import, None)
    if state["replaced_how"] == "delete":
        return Change(What.DELETED, at, by_name, version=version, **others)
    before, after = around[0], around[-1]
    fields = tuple(FieldChange(name, state[name], after[name]) for name in seen if state[name] != after[name])
    if before is not state and before["replaced_how"] == "delete":
        return Change(What.RESTORED, at, by_name, fields, version, **others)
    if undone is not None:
        return Change(undone, at, by_name, fields, version, **others)
    if state["replaced_import"] is not None:
        line = after["import_line"] if after["import_id"] == state["replaced_import"] else None
        return Change(What.CHANGED, at, by_name, fields, version, **names.source(state["replaced_import"], line))
    if merged := names.merges.get(version):
        return Change(What.CHANGED, at, by_name, fields, version, merged=merged)
    if state["import_id"] != after["import_id"]:  # taken back by a version that did not number undos
        return Change(What.TAKEN_BACK, at, by_name, fields, version, **names.source(state["import_id"], None))
    return Change(What.CHANGED, at, by_name, fields, version, **others)
