"""Several contacts made one, and taken apart again, at any later time.

One of them stays; the others are deleted into history, whence `unmerge` brings them back with their numbers and
values. Who had paid to take one of them out in this month has paid for the one that stays. What the others were known
by (external id, e-mail with the name, LinkedIn page) is kept as an alias of it: an import whose row brings it finds the
contact that stays, and makes no new one. Aliases follow, should that one be merged into yet another. What the
row says of the contact it changes, like any other row that belongs to one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, exists, func, select, text, update
from sqlalchemy import delete as sql_delete
from sqlalchemy.orm import Session

from models import audit
from models.audit import Event
from models.contacts import editing, records
from models.contacts.editing import as_text
from models.contacts.history import ContactVersion, newest_version, person
from models.contacts.merge_choice import ALL, Proposal, completed, propose, united
from models.contacts.records import Record
from models.contacts.table import FIELDS, Contact
from models.database import reading
from models.duplicates.runs import require_reviewing
from models.duplicates.tables import ContactMerge, ContactMergePart
from models.errors import Conflict, InvalidInput, NotFound
from models.permissions import Actor

MOST = 10  # contacts that become one
_contacts = Contact.__table__
_history = ContactVersion.c


@dataclass(frozen=True)
class Merged:
    """A merge that was made; `undone_at` is None while it stands. `label` is what people call the survivor, or None
    where it is gone by now."""

    id: int
    survivor_id: int
    label: str | None
    others: tuple[int, ...]
    by_name: str
    at: datetime
    undone_at: datetime | None


@dataclass(frozen=True)
class Unmerged:
    """`restored` are the contacts that came back; `kept` the survivor's fields that were changed since the merge, and
    stay as they are."""

    survivor_id: int
    restored: tuple[int, ...]
    kept: tuple[str, ...]


def proposal(ids: Sequence[int], *, survivor_id: int | None = None, by: Actor) -> Proposal:
    """What `merge` would do with these contacts, unless somebody chooses otherwise.

    Raises NotAllowed, NotFound, Gone, InvalidInput (fewer than two, more than MOST, or the survivor is none of them).
    """
    require_reviewing(by)
    wanted = _mergeable(ids, "contact")
    if survivor_id not in (None, *wanted):
        raise InvalidInput(f"Contact {survivor_id} is not among those to merge.", field="survivor")
    return propose([records.get(one, by=by) for one in wanted], survivor_id)


def merge(survivor_id: int, versions: Mapping[int, int], choices: Mapping[str, int] | None = None, *, by: Actor) -> int:
    """Make one of all contacts in `versions`, which gives each the version that was seen (Record.version); returns the
    merge's number. `choices` is field -> contact whose value is taken, or ALL; the rest is as proposed. What no field
    took is united, the survivor's first.

    Raises NotAllowed, InvalidInput, NotFound, Conflict (a contact changed since, or is gone; nothing is merged).
    """
    require_reviewing(by)
    _mergeable(versions, "contacts")
    if survivor_id not in versions:
        raise InvalidInput(f"Contact {survivor_id} is not among those to merge.", field="survivor_id")
    with editing.editing(by) as session:
        return merge_in(session, survivor_id, versions, choices or {}, by=by)


def merge_in(
    session: Session, survivor_id: int, versions: Mapping[int, int], choices: Mapping[str, int], *, by: Actor
) -> int:
    """`merge` in the open transaction. Raises InvalidInput, Conflict."""
    return _merge(session, survivor_id, _locked(session, _mergeable(versions, "contacts"), versions), choices, by)


def unmerge(merge_id: int, *, by: Actor) -> Unmerged:
    """Bring the others back as they were, and put the survivor's fields back that still hold what the merge put there.

    Where the survivor was deleted by now the others come back all the same. Raises NotAllowed, NotFound, Conflict (it
    was un-merged already, or the survivor itself was merged into another one).
    """
    require_reviewing(by)
    with editing.editing(by) as session:
        found = session.get(ContactMerge, merge_id, with_for_update=True) if 0 < merge_id < 2**63 else None
        if found is None:
            raise NotFound(f"There is no merge {merge_id}.")
        if found.undone_at is not None:
            raise Conflict(f"Merge {merge_id} was taken apart already.")
        _require_outermost(session, found)
        versions = session.scalars(select(ContactMergePart.version_id).where(ContactMergePart.merge_id == merge_id))
        restored = editing.bring_back(session, "h.version_id = ANY (CAST(:ids AS bigint[]))", {"ids": list(versions)})
        before, after, kept = _put_back(session, found)
        found.undone_at, found.undone_by = func.now(), by.doer_id
        session.execute(text("DELETE FROM contact_aliases WHERE merge_id = :merge"), {"merge": merge_id})
        audit.write(
            session, Event.CONTACTS_UNMERGED, f"contact {found.survivor_id}", by=by,
            before=before, after=after, restored=restored, kept=[FIELDS[name].title for name in kept], merge=merge_id,
        )  # fmt: skip
        return Unmerged(found.survivor_id, tuple(restored), tuple(kept))


def made(*, contact_id: int | None = None, standing: bool = False, size: int = 50, by: Actor) -> list[Merged]:
    """The newest first; those of which the contact is the survivor, where one is named. Raises NotAllowed."""
    require_reviewing(by)
    name = func.nullif(func.concat_ws(" ", Contact.first_name, Contact.last_name), "")
    label = func.coalesce(name, Contact.company, Contact.email)
    others = select(func.array_agg(ContactMergePart.contact_id)).where(ContactMergePart.merge_id == ContactMerge.id)
    listed = (
        select(ContactMerge, label.label("label"), others.scalar_subquery().label("others"))
        .add_columns(person(ContactMerge.__table__.c.merged_by).label("by_name"))
        .outerjoin(Contact, Contact.id == ContactMerge.survivor_id)
        .order_by(ContactMerge.id.desc())
        .limit(size)
    )
    if contact_id is not None:
        listed = listed.where(ContactMerge.survivor_id == contact_id)
    if standing:
        listed = listed.where(ContactMerge.undone_at.is_(None))
    with reading() as session:
        return [_merged(*row) for row in session.execute(listed)]


def _merged(found: ContactMerge, label: str | None, others: list[int] | None, by_name: str) -> Merged:
    ids = tuple(sorted(others or []))
    return Merged(found.id, found.survivor_id, label, ids, by_name, found.merged_at, found.undone_at)


def _require_outermost(session: Session, found: ContactMerge) -> None:
    """What the survivor took with it into another one can be put back only where it is itself. Raises Conflict."""
    outer = (
        select(ContactMerge)
        .join(ContactMergePart, ContactMergePart.merge_id == ContactMerge.id)
        .where(ContactMergePart.contact_id == found.survivor_id, ContactMerge.undone_at.is_(None))
        .where(ContactMerge.id > found.id, ~exists().where(Contact.id == found.survivor_id))
        .order_by(ContactMerge.id.desc())
        .limit(1)
    )
    if (later := session.scalar(outer)) is not None:
        raise Conflict(
            f"Contact {found.survivor_id} was itself merged into contact {later.survivor_id} since: "
            f"take that merge, number {later.id}, apart first."
        )


def _mergeable(ids: Sequence[int] | Mapping[int, int], field: str) -> list[int]:
    wanted = sorted(set(ids))
    if not 2 <= len(wanted) <= MOST:
        raise InvalidInput(f"Name 2 to {MOST} contacts to merge: these are {len(wanted)}.", field=field)
    return wanted


def _locked(session: Session, ids: list[int], versions: Mapping[int, int]) -> list[RowMapping]:
    """Their stored columns, locked in the order of their numbers: two who merge the same wait for each other."""
    wanted = select(_contacts).where(_contacts.c.id.in_(ids)).order_by(_contacts.c.id).with_for_update()
    rows = list(session.execute(wanted).mappings())
    if missing := sorted(set(ids) - {row["id"] for row in rows}):
        raise Conflict(f"Contact {missing[0]} was deleted, or merged, in the meantime. Nothing was merged.")
    newest = select(_contacts.c.id, newest_version(_contacts.c.id)).where(_contacts.c.id.in_(ids))
    if moved := [one for one, version in session.execute(newest) if version != versions[one]]:
        raise Conflict(f"Contact {moved[0]} was changed since you looked at it. Nothing was merged: look again.")
    return rows


def _merge(session: Session, survivor_id: int, rows: list[RowMapping], choices: Mapping[str, int], by: Actor) -> int:
    seen = {row["id"]: records.read_in(session, row["id"], by=by) for row in rows}
    chosen = completed(list(seen.values()), survivor_id, choices)
    stored = {row["id"]: row for row in sorted(rows, key=lambda row: row["id"] != survivor_id)}
    survivor = stored[survivor_id]
    values = _values(stored, chosen) | {"extra": _extra(list(stored.values()))}
    changed = {column: value for column, value in values.items() if survivor[column] != value}
    others = [one for one in stored if one != survivor_id]
    session.execute(sql_delete(Contact).where(Contact.id.in_(others)))
    version = _write(session, survivor_id, changed)
    found = ContactMerge(survivor_id=survivor_id, version_id=version, merged_by=by.doer_id)
    session.add(found)
    session.flush()
    parameters = {"merge": found.id, "survivor": survivor_id, "others": others}
    for statement in (_PARTS, _ALIASES, _ALIASES_FOLLOW, _TAKINGS):
        session.execute(text(statement), parameters)
    after = records.read_in(session, survivor_id, by=by)
    was, now = _differing(seen[survivor_id], after)
    audit.write(
        session, Event.CONTACTS_MERGED, f"contact {survivor_id}", by=by,
        before=was, after=now, merged=others, merge=found.id,
    )  # fmt: skip
    return found.id


def _values(stored: Mapping[int, RowMapping], chosen: Mapping[str, int]) -> dict[str, Any]:
    values = {}
    for name, source in chosen.items():
        column = FIELDS[name].column
        if source == ALL:
            values[column] = united(name, [row[column] for row in stored.values()])
        else:
            values[column] = stored[source][column]
    return values


def _extra(rows: Sequence[RowMapping]) -> dict[str, Any] | None:
    together: dict[str, Any] = {}
    for row in reversed(rows):  # the survivor's, which is the first, counts most
        together |= row["extra"] or {}
    return together or None


def _write(session: Session, contact_id: int, changed: dict[str, Any]) -> int | None:
    """The number that the state before has in contact_history; None where nothing was changed."""
    if not changed:
        return None
    written = update(Contact).where(Contact.id == contact_id).values(**changed, updated_at=func.now())
    session.execute(written, execution_options={"synchronize_session": False})
    version: int | None = session.scalar(select(func.max(_history.version_id)).where(_history.id == contact_id))
    return version


def _differing(before: Record, after: Record) -> tuple[dict[str, str], dict[str, str]]:
    old, new = before.texts(), after.texts()
    names = [name for name in new if old[name] != new[name]]
    return {name: old[name] for name in names}, {name: new[name] for name in names}


def _put_back(session: Session, found: ContactMerge) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """The survivor's fields, by value: (before, after) of what goes back, and the names of those that are kept."""
    now = session.execute(select(_contacts).where(_contacts.c.id == found.survivor_id).with_for_update())
    survivor = now.mappings().one_or_none()
    if survivor is None or found.version_id is None:
        return {}, {}, []
    older = select(ContactVersion).where(_history.id == found.survivor_id, _history.version_id >= found.version_id)
    states = list(session.execute(older.order_by(_history.version_id).limit(2)).mappings())
    old, put = states[0], states[1] if len(states) > 1 else survivor
    columns = {field.column: name for name, field in FIELDS.items()}
    moved = [column for column in (*columns, "extra") if old[column] != put[column]]
    back = {column: old[column] for column in moved if survivor[column] == put[column]}
    kept = [columns[one] for one in moved if one in columns and survivor[one] not in (put[one], old[one])]
    _write(session, found.survivor_id, back)
    names = [columns[column] for column in back if column in columns]
    told = [{name: as_text(name, row[FIELDS[name].column]) for name in names} for row in (put, old)]
    return told[0], told[1], kept


_PARTS = """INSERT INTO contact_merge_parts (merge_id, contact_id, version_id)
    SELECT :merge, id, max(version_id) FROM contact_history
    WHERE id = ANY (CAST(:others AS bigint[])) AND replaced_how = 'delete' GROUP BY id"""
# The survivor itself was known by something else where the merge gave it another's e-mail or name.
_ALIASES = """INSERT INTO contact_aliases (merge_id, survivor_id, external_id, email, name, linkedin)
    SELECT m.id, m.survivor_id, h.contact_id, h.email, nullif(lower(concat_ws(' ', h.first_name, h.last_name)), ''),
        lower(h.person_linkedin_url)
    FROM contact_merges m, contact_history h
    WHERE m.id = :merge AND coalesce(h.contact_id, h.email, h.person_linkedin_url) IS NOT NULL
        AND h.version_id IN (SELECT m.version_id UNION ALL
            SELECT p.version_id FROM contact_merge_parts p WHERE p.merge_id = m.id)"""
# Those of a contact that is now merged itself; they go with this merge, should it be taken apart.
_ALIASES_FOLLOW = """INSERT INTO contact_aliases (merge_id, survivor_id, external_id, email, name, linkedin)
    SELECT :merge, :survivor, external_id, email, name, linkedin FROM contact_aliases
    WHERE survivor_id = ANY (CAST(:others AS bigint[])) AND merge_id <> :merge"""
_TAKINGS = """INSERT INTO credit_takings (user_id, month, contact_ids)
    SELECT user_id, month, ARRAY[CAST(:survivor AS bigint)] FROM credit_takings
    WHERE month = date_trunc('month', now() AT TIME ZONE 'UTC')::date
    GROUP BY user_id, month
    HAVING bool_or(contact_ids && CAST(:others AS bigint[]))
        AND NOT bool_or(contact_ids @> ARRAY[CAST(:survivor AS bigint)])"""
