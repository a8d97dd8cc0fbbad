"""One contact: read, created, changed, deleted, restored. Whoever writes names the version of it that they saw."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    BindParameter,
    FromClause,
    RowMapping,
    Select,
    any_,
    bindparam,
    insert,
    literal,
    null,
    select,
)
from sqlalchemy import delete as sql_delete
from sqlalchemy import text as sql
from sqlalchemy import update as sql_update
from sqlalchemy.orm import Session

from models import audit, awaited
from models.audit import Event
from models.contacts import as_of, editing, history, likeness
from models.contacts.editing import as_text
from models.contacts.history import ContactVersion, newest_version, person, readable
from models.contacts.likeness import Alike
from models.contacts.moments import When
from models.contacts.table import ABOUT_EMAIL, FIELDS, STATUSES, Contact
from models.database import asked, asked_in, compiled, reading
from models.errors import AlreadyThere, ChangedMeanwhile, Conflict, InvalidInput, InvalidValues, NotFound
from models.fields import Kind
from models.filters import visible_fields
from models.imports import Import
from models.industries import Industry
from models.permissions import OPERATOR, Actor, Permission, require
from models.users import User

DEFAULTS: Mapping[str, Any] = {"status": STATUSES[0], "is_active": True}  # as imports set them
Stored = Callable[..., Any]  # what editing.stored does
_contacts = Contact.__table__
_table: Any = _contacts  # as insert takes it


@dataclass(frozen=True)
class Record:
    """One contact as `by` may see it: `values` holds every visible field, industry by name and owner by e-mail.

    `version` moves with every write; `update` and `delete` want it back. `extra`, what no field took, is for who sees
    every column. Of a deleted contact `deleted_at` and `deleted_by` are filled.
    """

    id: int
    values: dict[str, Any]
    version: int
    created_at: datetime
    updated_at: datetime
    created_by: str
    owner_name: str | None
    import_id: int | None
    import_line: int | None
    file_name: str | None
    extra: dict[str, Any] | None
    deleted_at: datetime | None = None
    deleted_by: str | None = None

    @property
    def label(self) -> str:
        """What a person calls it: the name, else the company, else the e-mail, else its number."""
        seen = self.values.get
        name = " ".join(part for part in (seen("first_name"), seen("last_name")) if part)
        return name or seen("company") or seen("email") or f"Contact {self.id}"

    def seen_by(self, by: Actor) -> "Record":
        """Without what `by` may not see, who may see less by now than whoever it was read for."""
        values = {name: self.values[name] for name in visible_fields(by) if name in self.values}
        owner = self.owner_name if "owner" in values else None
        return replace(self, values=values, owner_name=owner, extra=self.extra if by.columns is None else None)

    def texts(self) -> dict[str, str]:
        """Every visible field as a form shows it and `update` takes it back."""
        return {name: as_text(name, value) for name, value in self.values.items()}


def get(contact_id: int, *, by: Actor) -> Record:
    """Raises NotAllowed, NotFound, Gone (it was deleted)."""
    require(by, Permission.CONTACTS_READ)
    if 0 < contact_id <= history.LARGEST_ID and (rows := asked(*_question(contact_id, by))):
        return _record(rows[0]._asdict(), by)
    with reading() as session:
        raise history.missing(session, contact_id, by)


async def get_soon(contact_id: int, *, by: Actor) -> Record:
    """`get` for an event loop: a contact that is there takes no thread."""
    require(by, Permission.CONTACTS_READ)
    if 0 < contact_id <= history.LARGEST_ID and (rows := await awaited.asked(*_question(contact_id, by))):
        return _record(rows[0]._asdict(), by)
    return await asyncio.to_thread(get, contact_id, by=by)


def as_it_was(contact_id: int, when: When, *, by: Actor) -> Record:
    """The contact at that moment, to be read; who may not see deleted contacts finds none that is gone by now.

    Raises NotAllowed, NotFound (it was not there), InvalidInput (there was no such moment).
    """
    require(by, Permission.CONTACTS_READ)
    with reading() as session:
        as_of.look_back(session, as_of.resolve(session, when), by=by)
        known = 0 < contact_id <= history.LARGEST_ID
        row = _selected(session, _contacts, visible_fields(by), by, _contacts.c.id == contact_id) if known else None
    if row is None:
        raise NotFound(f"There was no contact {contact_id} {when.words}.")
    return _record(row, by)


def deleted(contact_id: int, *, by: Actor) -> Record:
    """The contact as it was when it was deleted. Raises NotAllowed; NotFound, also for one that is there."""
    require(by, Permission.CONTACTS_EDIT)
    with reading() as session:
        last = history.last_deletion(session, contact_id)
        if last is None or session.scalar(select(Contact.id).where(Contact.id == contact_id)):
            raise NotFound(f"There is no deleted contact {contact_id}.")
        version = ContactVersion.c
        row = _selected(session, ContactVersion, visible_fields(by), by, version.version_id == last.version_id)
        assert row is not None
        return _record(row, by, deleted_at=last.at, deleted_by=last.by_name)


def create(values: Mapping[str, str | None], *, anyway: bool = False, by: Actor) -> int:
    """`created`; returns its id."""
    return created(values, anyway=anyway, by=by).id


def created(values: Mapping[str, str | None], *, anyway: bool = False, by: Actor) -> Record:
    """A new contact from the texts of a form. `anyway`: also where one with the same e-mail address, LinkedIn page or
    external id is there, as far as `by` may see these.

    Raises NotAllowed, InvalidInput (no such field), InvalidValues (with every problem at once), AlreadyThere.
    """
    with editing.editing(by) as session:
        made = new_columns(session, values, by=by)
        if not anyway and (there := likeness.certain(session, entered(values), by=by)):
            raise already_there(there)
        statement, given = inserting(tuple(made))
        [row] = asked_in(session, statement, {**given, **made})
        whole = _record(row, OPERATOR)
        audit.write(session, Event.CONTACT_CREATED, subject(whole.id), by=by, after=_told(whole))
        return whole if by.columns is None else _read(session, whole.id, by)


def update(contact_id: int, changes: Mapping[str, str | None], *, version: int, by: Actor) -> Record:
    """Set fields from the texts of a form; "" and None empty them. What is as it was is left alone, also where it
    would not fit today. What is known of an e-mail address goes with it, unless `changes` say what is known of the new
    one.

    Raises NotAllowed, NotFound, Gone, ChangedMeanwhile (it is no longer at `version`; nothing is written), InvalidInput
    (no such field), InvalidValues (with every problem at once).
    """
    require(by, Permission.CONTACTS_EDIT)
    for name in changes:
        editing.editable(name, by=by)
    with editing.editing(by) as session:
        row = _locked(session, contact_id, by)
        before = _read(session, contact_id, by)
        require_unmoved(session, before, version, by=by)
        return _changed(session, before, changed_columns(session, changes, before, row, by=by), by)


def undo(contact_id: int, version: int, *, by: Actor) -> Record:
    """Take back the change that replaced that version (`history.Change.version`), as far as `by` may see its fields.

    The values that stood before come back as they were, also where a form would refuse them today.
    Raises NotAllowed, NotFound, Gone; Conflict where one of the fields was changed again since, or `by` sees none.
    """
    with editing.editing(by) as session:
        row = _locked(session, contact_id, by)
        before = _read(session, contact_id, by)
        columns = [FIELDS[name].column for name in visible_fields(by)]
        old, new = _around(session, contact_id, version, row)
        differing = {column for column in columns if old[column] != new[column]}
        # An address comes back with what was known of it: what is known of the newer one is not true of it.
        differing |= {told for column in differing for told in ABOUT_EMAIL.get(column, ())}
        # Only what `by` sees can keep it from going back: a refusal would tell that something else was changed.
        seen = (FIELDS[name] for name in visible_fields(by))
        if moved := [field for field in seen if field.column in differing and row[field.column] != new[field.column]]:
            raise Conflict(f"{moved[0].title} was changed again since: undo the newer change first.")
        if not differing:
            raise Conflict("That change touched no field that you may see: there is nothing to undo.")
        return _changed(session, before, {column: old[column] for column in differing}, by)


def delete(contact_id: int, *, version: int, by: Actor) -> None:
    """`restore` brings it back. Raises NotAllowed, NotFound, Gone, ChangedMeanwhile."""
    with editing.editing(by) as session:
        _locked(session, contact_id, by)
        record = _read(session, contact_id, by)
        require_unmoved(session, record, version, by=by)
        who = _known(session, contact_id, editing.IDENTIFYING)
        session.execute(sql_delete(Contact).where(Contact.id == contact_id))
        audit.write(session, Event.CONTACT_DELETED, subject(contact_id), by=by, before=who)


def restore(contact_id: int, *, by: Actor) -> Record:
    """Bring a deleted contact back as it was. Raises NotAllowed; Conflict where it is there; NotFound."""
    with editing.editing(by) as session:
        last = history.last_deletion(session, contact_id)
        if last is None:
            raise NotFound(f"There is no deleted contact {contact_id}.")
        if not editing.bring_back(session, "h.version_id = :version", {"version": last.version_id}):
            raise Conflict(f"Contact {contact_id} was restored already.")
        record = _read(session, contact_id, by)
        who = _known(session, contact_id, editing.IDENTIFYING)
        audit.write(session, Event.CONTACT_RESTORED, subject(contact_id), by=by, after=who)
    return record


def read_in(session: Session, contact_id: int, *, by: Actor) -> Record:
    """The contact as the open transaction has it. Raises NotFound, Gone."""
    return _read(session, contact_id, by)


def read_many(session: Session, ids: Collection[int], *, by: Actor) -> dict[int, Record]:
    """Those of them that are there, by their ids, as the open transaction has them."""
    among = _contacts.c.id == any_(literal(list(ids), ARRAY(BigInteger)))
    rows = _rows(session, _contacts, visible_fields(by), by, among)
    return {row["s_id"]: _record(row, by) for row in rows}


def entered(values: Mapping[str, str | None]) -> dict[str, str]:
    """Of the texts of a new contact those that say something."""
    return {name: text for name, text in values.items() if text is not None}


def new_columns(
    session: Session, values: Mapping[str, str | None], *, stored: Stored = editing.stored, by: Actor
) -> dict[str, Any]:
    """Column -> value of a new contact with these texts. Raises NotAllowed, InvalidInput, InvalidValues."""
    made = _checked(session, entered(values), {}, {}, by, stored)
    return {**DEFAULTS, **{column: value for column, value in made.items() if value is not None}, "created_by": by.id}


def changed_columns(
    session: Session,
    changes: Mapping[str, str | None],
    before: Record,
    row: RowMapping,
    *,
    stored: Stored = editing.stored,
    by: Actor,
) -> dict[str, Any]:
    """Column -> value of what these texts really change in the locked `row`, which is the record `before`; with what
    goes along with an e-mail address. Raises NotAllowed, InvalidInput, InvalidValues."""
    texts = {name: text or "" for name, text in changes.items()}
    checked = _checked(session, texts, before.texts(), dict(row), by, stored)
    written = {column: value for column, value in checked.items() if row[column] != value}
    told = {told for column in written for told in ABOUT_EMAIL.get(column, ()) if told not in changes}
    return written | {column: None for column in told if row[column] is not None}


def already_there(found: Alike) -> AlreadyThere:
    told = f"{found.name} (contact {found.id}) is there already: {found.reason}. Nothing was created."
    return AlreadyThere(told, contact_id=found.id, label=found.name)


def suggestions(*, by: Actor) -> dict[str, list[str]]:
    """What a form offers in fields that take a few values or a list of them; industries and owners: those that fit.

    Values that stand in contacts come from the planner's statistics: at once, whatever the number of contacts.
    """
    require(by, Permission.CONTACTS_READ)
    names = [name for name in visible_fields(by) if FIELDS[name].kind in (Kind.CHOICE, Kind.LIST)]
    with reading() as session:
        known = session.execute(
            sql(
                """SELECT attname, coalesce(most_common_elems, most_common_vals)::text::text[] AS common FROM pg_stats
                WHERE schemaname = current_schema() AND tablename = 'contacts' AND attname = ANY (:names)"""
            ),
            {"names": names},
        )
        common = {row.attname: row.common or [] for row in known}
        industries = session.scalars(select(Industry.name).where(Industry.is_active).order_by(Industry.name)).all()
        owners = session.scalars(select(User.email).where(User.is_active).order_by(User.email)).all()
    offered = {name: _offered(name, common.get(name, [])) for name in names}
    references = {"industry": list(industries), "owner": list(owners)}
    return offered | {name: found for name, found in references.items() if name in visible_fields(by)}


def _offered(name: str, common: list[str]) -> list[str]:
    declared = FIELDS[name].choices
    return [*declared, *sorted(set(common) - set(declared), key=str.casefold)]


def subject(contact_id: int) -> str:
    return f"contact {contact_id}"


def _known(session: Session, contact_id: int, names: Iterable[str] = FIELDS) -> dict[str, str]:
    """What the audit log tells of the contact, whoever writes: of a reader's fields the log itself sees to it."""
    return _told(_read(session, contact_id, OPERATOR), names)


def _told(of: Record, names: Iterable[str] = FIELDS) -> dict[str, str]:
    texts = of.texts()
    return {name: texts[name] for name in names if texts[name]}


def _locked(session: Session, contact_id: int, by: Actor) -> RowMapping:
    """Every stored column of the contact, locked. Raises NotFound, Gone."""
    wanted = select(_contacts).where(_contacts.c.id == contact_id).with_for_update()
    known = 0 < contact_id <= history.LARGEST_ID
    row = session.execute(wanted).mappings().one_or_none() if known else None
    if row is None:
        raise history.missing(session, contact_id, by)
    return row


def _read(session: Session, contact_id: int, by: Actor) -> Record:
    known = 0 < contact_id <= history.LARGEST_ID
    if known:
        for row in asked_in(session, *_question(contact_id, by)):
            return _record(row, by)
    raise history.missing(session, contact_id, by)


def _selected(session: Session, table: FromClause, seen: list[str], by: Actor, where: Any) -> RowMapping | None:
    return next(iter(_rows(session, table, seen, by, where)), None)


def _rows(session: Session, table: FromClause, seen: list[str], by: Actor, where: Any) -> Sequence[RowMapping]:
    """The visible fields under their names, beside them what the system keeps, as `s_...`."""
    return session.execute(_selecting(table, tuple(seen), by.columns is None).where(where)).mappings().all()


def whole(contact_id: int | BindParameter[int], *, by: Actor) -> Select[Any]:
    """The statement that reads all that `by` sees of the contact."""
    return _selecting(_contacts, tuple(visible_fields(by)), by.columns is None).where(_contacts.c.id == contact_id)


@lru_cache(maxsize=100)
def inserting(columns: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    """Inserts what is given for these columns, and reads it back as `whole` does, in one statement."""
    values: dict[str, Any] = {name: bindparam(name, None) for name in columns}
    made = insert(_table).values(values).returning(*_contacts.c).cte("made")
    return compiled(_selecting(made, tuple(FIELDS), True))


def _question(contact_id: int, by: Actor) -> tuple[str, dict[str, Any]]:
    """`whole` as the driver takes it."""
    statement, given = _compiled(tuple(visible_fields(by)), by.columns is None)
    return statement, {**given, "id": contact_id}


@lru_cache(maxsize=100)
def _compiled(seen: tuple[str, ...], is_all: bool) -> tuple[str, dict[str, Any]]:
    """The same as the driver takes it, with the parameter `id`: to look up what was compiled takes as long again."""
    return compiled(_selecting(_contacts, seen, is_all).where(_contacts.c.id == bindparam("id", 0)))


@lru_cache(maxsize=100)
def _selecting(table: FromClause, seen: tuple[str, ...], is_all: bool) -> Select[Any]:
    """Built once for each set of visible fields: to put sixty columns together takes longer than to read a contact."""
    owner = select(User.name).where(User.id == table.c.owner_id).scalar_subquery()
    file_name = select(Import.file_name).where(Import.id == table.c.import_id).scalar_subquery()
    system = {
        "id": table.c.id,
        "version": newest_version(table.c.id),
        "created_at": table.c.created_at,
        "updated_at": table.c.updated_at,
        "created_by": person(table.c.created_by),
        "owner_name": owner if "owner" in seen else null(),
        "import_id": table.c.import_id,
        "import_line": table.c.import_line,
        "file_name": file_name,
        "extra": table.c.extra if is_all else null(),
    }
    columns = [column.label(f"s_{name}") for name, column in system.items()]
    return select(*readable(table, seen), *columns)


def _record(row: RowMapping | Mapping[str, Any], by: Actor, **more: Any) -> Record:
    system = {name.removeprefix("s_"): value for name, value in row.items() if name.startswith("s_")}
    return Record(values={name: row[name] for name in visible_fields(by)}, **system, **more)


def _checked(
    session: Session,
    entered: Mapping[str, str],
    before: Mapping[str, str],
    row: Mapping[str, Any],
    by: Actor,
    stored: Stored,
) -> dict[str, Any]:
    """Column -> value of what was entered and differs from `before`, the texts of the stored `row`; both are empty for
    a new contact. Raises InvalidInput, InvalidValues."""
    problems, values = {}, {}
    known = {**before, **entered}  # nothing that `by` may not see: the sentence names the country
    for name, text in entered.items():
        field = editing.editable(name, by=by)
        if text == before.get(name, ""):
            continue
        try:
            values[field.column] = stored(session, field, text, country=editing.country_of(name, known))
        except InvalidInput as error:
            problems[name] = error.sentence
    if not row or not values.keys().isdisjoint(editing.IDENTIFYING):
        # What `by` may not see does not count: the answer would tell whether something stands there.
        after = {**{name: row.get(name) for name in visible_fields(by)}, **values, **problems}
        if all(after.get(name) is None for name in editing.IDENTIFYING):
            problems[InvalidValues.FORM] = editing.NOBODY
    if problems:
        raise InvalidValues(problems)
    return values


def _changed(session: Session, before: Record, values: dict[str, Any], by: Actor) -> Record:
    """Write the columns' values, where there are any, with their audit line; the record as it is then."""
    if not values:
        return before
    changed = sql_update(Contact).where(Contact.id == before.id).values(**values, updated_at=sql("now()"))
    old = _read(session, before.id, OPERATOR).texts()
    session.execute(changed, execution_options={"synchronize_session": False})
    new = _read(session, before.id, OPERATOR).texts()  # with what went along with an e-mail address, seen or not
    differing = [name for name in new if old[name] != new[name]]
    was, now = ({name: texts[name] for name in differing} for texts in (old, new))
    audit.write(session, Event.CONTACT_CHANGED, subject(before.id), by=by, before=was, after=now)
    return _read(session, before.id, by)


def require_unmoved(session: Session, now: Record, version: int, *, by: Actor) -> None:
    """Raises ChangedMeanwhile where a field that `by` sees is no longer as it was at `version`, or there never was such
    a version: it may be that of another contact."""
    if now.version == version:
        return
    if version > now.version:
        said = "That version is none of this contact's: read it again. Nothing was written."
        raise ChangedMeanwhile(said, fields={}, by_name=now.created_by, at=now.updated_at, version=now.version)
    names = visible_fields(by)
    older = ContactVersion.c
    was = (
        session.execute(
            select(*readable(ContactVersion, names))
            .where(older.id == now.id, older.version_id > version)
            .order_by(older.version_id)
            .limit(1)
        )
        .mappings()
        .one_or_none()
    )
    moved = {name: now.values[name] for name in names if was is not None and was[name] != now.values[name]}
    if not moved:
        return
    last = session.execute(
        select(person(older.replaced_by).label("by_name"), older.replaced_at).where(older.version_id == now.version)
    ).one()
    labels = ", ".join(FIELDS[name].title for name in moved)
    raise ChangedMeanwhile(
        f"{last.by_name} changed this contact since you opened it ({labels}). Nothing was written.",
        fields=moved,
        by_name=last.by_name,
        at=last.replaced_at,
        version=now.version,
    )


def _around(session: Session, contact_id: int, version: int, now: RowMapping) -> tuple[RowMapping, RowMapping]:
    """The contact's state that the change replaced, and the state that it left. Raises NotFound."""
    older = ContactVersion.c
    wanted = select(ContactVersion).where(older.id == contact_id, older.version_id >= version)
    found = session.execute(wanted.order_by(older.version_id).limit(2)).mappings().all()
    if not found or found[0]["version_id"] != version or found[0]["replaced_how"] != "update":
        raise NotFound(f"Contact {contact_id} has no change {version} that could be undone.")
    return found[0], found[1] if len(found) > 1 else now
