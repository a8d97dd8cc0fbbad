"""Changing many contacts at once, and taking it back. Everything is set-wise and in one transaction.

Who asked a person first names the number that was confirmed as `expected`: another number changes nothing.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Delete,
    Text,
    Update,
    and_,
    any_,
    func,
    literal,
    not_,
    or_,
    select,
    update,
)
from sqlalchemy import delete as sql_delete
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from models import audit
from models.audit import Event
from models.contacts import editing, history_retention
from models.contacts.blanks import trimmed
from models.contacts.table import ABOUT_EMAIL, FIELDS, Contact
from models.contacts.values import within_length
from models.errors import Conflict, InvalidInput, NotAllowed, about
from models.fields import Field
from models.filters import SYSTEM, Filter, Filters, visible_fields
from models.permissions import Actor, Permission, require

MOST = 100_000  # contacts at a time
SUBJECT = "contacts"
TAGS = "tags"
_contacts = Contact.__table__
_LAST_VERSION = sql("SELECT last_value FROM contact_history_version_id_seq")
_MERGED_TAGS = sql(
    """(SELECT array_agg(tag ORDER BY place) FROM (
        SELECT tag, min(place) AS place
        FROM unnest(contacts.tags || CAST(:adding AS text[])) WITH ORDINALITY AS entry (tag, place)
        WHERE tag <> ALL (CAST(:removing AS text[])) GROUP BY tag) AS once)"""
)


@dataclass(frozen=True)
class Selection:
    """All contacts that match, or those of them with these ids."""

    filters: Filters
    ids: tuple[int, ...] | None = None

    def filtered(self) -> Filters:
        """The same as filters alone."""
        if self.ids is None:
            return self.filters
        return replace(self.filters, filters=(*self.filters.filters, Filter(SYSTEM["contact"], "is", self.ids)))

    def condition(self, *, by: Actor) -> ColumnElement[bool]:
        """Raises NotAllowed for a filter on a hidden field."""
        matching = self.filters.condition(by=by)
        if self.ids is None:
            return matching
        return and_(matching, _among(self.ids))


@dataclass(frozen=True)
class Batch:
    """What was done to many contacts: `count` were really changed. Numbers and texts only, so that it can be stored.

    It is found again by the versions that it left in contact_history: those numbered `first` to `last` of that moment
    (a transaction's begin, to the microsecond) and person. The primary key leads to them.
    """

    what: str  # "changed" | "deleted"
    field: str | None
    count: int
    first: int
    last: int
    at: str
    by_id: int | None


@dataclass(frozen=True)
class PutBack:
    """Contacts that are as before, and contacts kept as they are because somebody changed them since."""

    restored: int
    kept: int


def change(selection: Selection, field_name: str, text: str | None, *, expected: int | None = None, by: Actor) -> Batch:
    """Set one field of all of them; "" and None empty it. Industries go by name, owners by e-mail. With another e-mail
    address goes what is known of the old one.

    Raises NotAllowed, InvalidInput (no such field, a value that does not fit, too many contacts), Conflict.
    """
    require(by, Permission.CONTACTS_EDIT)
    with about("field"):
        field = editing.editable(field_name, by=by)
    with editing.editing(by) as session:
        with about("value"):
            value = editing.stored(session, field, text)
        ids = _locked(session, selection, expected, by)
        if value is None and field.name in editing.IDENTIFYING:
            _require_someone_left(session, ids, field, by)
        column = _contacts.c[field.column]
        changed = update(Contact).where(_among(ids), column.is_distinct_from(value))
        forgotten = dict.fromkeys(ABOUT_EMAIL.get(field.column, ()))
        new = {field.column: value, **forgotten, "updated_at": func.now()}
        batch = _carry_out(session, changed.values(new), "changed", field.name, by)
        told = {field.name: text or "", **dict.fromkeys(forgotten, "")}
        _note(session, Event.CONTACTS_CHANGED, selection, len(ids), batch, by, after=told)
    return batch


def tag(
    selection: Selection,
    *,
    add: Sequence[str] = (),
    remove: Sequence[str] = (),
    expected: int | None = None,
    by: Actor,
) -> Batch:
    """Add and remove labels (the field “tags”): their order is kept, each stands once.

    Raises NotAllowed, InvalidInput (none given, one both added and removed, too many contacts), Conflict.
    """
    require(by, Permission.CONTACTS_EDIT)
    field = editing.editable(TAGS, by=by)
    adding, removing = _labels(field, add), _labels(field, remove)
    if not adding and not removing:
        raise InvalidInput(f"{field.title}: name at least one to add or to remove.", field="add")
    if both := [one for one in adding if one in removing]:
        raise InvalidInput(f"{field.title}: “{both[0]}” cannot be added and removed at once.", field="remove")
    with editing.editing(by) as session:
        ids = _locked(session, selection, expected, by)
        tags = _contacts.c.tags
        lacking = not_(func.coalesce(tags, _texts([])).contains(_texts(adding)))
        changed = update(Contact).where(_among(ids), or_(lacking, tags.overlap(_texts(removing))))
        values = {"tags": _MERGED_TAGS.bindparams(adding=adding, removing=removing), "updated_at": func.now()}
        batch = _carry_out(session, changed.values(values), "changed", TAGS, by)
        _note(session, Event.CONTACTS_CHANGED, selection, len(ids), batch, by, added=adding, removed=removing)
    return batch


def delete(selection: Selection, *, expected: int | None = None, by: Actor) -> Batch:
    """Delete all of them; `put_back` brings them back.

    Raises NotAllowed, InvalidInput (too many contacts), Conflict.
    """
    with editing.editing(by) as session:
        ids = _locked(session, selection, expected, by)
        batch = _carry_out(session, sql_delete(Contact).where(_among(ids)), "deleted", None, by)
        _note(session, Event.CONTACTS_DELETED, selection, len(ids), batch, by)
    return batch


def put_back(batch: Batch, *, by: Actor) -> PutBack:
    """Undo the batch: one's own, for who looks after what others did anybody's. A second time it finds nothing left.

    Of changed contacts the batch's field alone goes back (an e-mail address with what was known of it), and only where
    it still holds what the batch put there and nobody else changed the contact since. Deleted ones come back unless
    they were restored and deleted again since.
    Raises NotAllowed, Conflict (the history that it would read was removed).
    """
    require(by, Permission.CONTACTS_EDIT)
    if batch.by_id != by.id and not by.may(Permission.OTHERS_OVERSEE):
        raise NotAllowed("You may put back only what you changed yourself: an administrator may put back the rest.")
    if batch.field is not None:
        editing.editable(batch.field, by=by)
    with editing.editing(by) as session:
        if batch.field is not None:
            done_at = datetime.fromisoformat(batch.at)
            history_retention.require_undoable(session, "What was changed then", done_at)
        done = _put_back_deleted(session, batch) if batch.field is None else _put_back_changed(session, batch, by)
        audit.write(
            session, Event.CONTACTS_PUT_BACK, SUBJECT, by=by,
            what=batch.what, field=batch.field, at=batch.at, restored=done.restored, kept=done.kept,
        )  # fmt: skip
    return done


def restore(ids: Collection[int], *, by: Actor) -> int:
    """Bring those of them back that are deleted; returns how many. Somebody else may have restored the rest.

    Raises NotAllowed, InvalidInput (too many contacts).
    """
    with editing.editing(by) as session:
        if len(ids) > MOST:
            raise InvalidInput(f"More than {MOST:,} contacts at a time cannot be restored.", field="ids")
        restored = editing.bring_back(session, "h.id = ANY (CAST(:ids AS bigint[]))", {"ids": sorted(ids)})
        if restored:
            audit.write(session, Event.CONTACTS_RESTORED, SUBJECT, by=by, contacts=restored)
    return len(restored)


def _labels(field: Field, given: Sequence[str]) -> list[str]:
    labels = dict.fromkeys(label for one in given if (label := trimmed(one.replace("\x00", ""))))
    return [within_length(field, label) for label in labels]


def _texts(values: Sequence[str]) -> ColumnElement[Any]:
    return literal(list(values), ARRAY(Text))


def _among(ids: Sequence[int]) -> ColumnElement[bool]:
    return _contacts.c.id == any_(literal(list(ids), ARRAY(BigInteger)))


def _locked(session: Session, selection: Selection, expected: int | None, by: Actor) -> list[int]:
    """The ids of the selection, locked in their order: two who change the same contacts wait for each other, and none
    comes to them that was not counted.

    Raises InvalidInput for more than MOST, Conflict where their number is not the one `expected`.
    """
    chosen = select(_contacts.c.id).where(selection.condition(by=by))
    some = chosen.limit(MOST + 1).subquery()
    number = session.scalar(select(func.count()).select_from(some)) or 0
    ids = list[int]()
    if number <= MOST:  # else they are not locked in vain
        ids = list(session.scalars(chosen.order_by(_contacts.c.id).with_for_update()))
        number = len(ids)
    if number > MOST:
        raise InvalidInput(f"More than {MOST:,} contacts at a time cannot be changed: narrow the filter.")
    if expected not in (None, number):
        raise Conflict(
            f"Confirmed were {expected:,}, but {number:,} match by now: nothing was changed. "
            "Look at the contacts again, then repeat it."
        )
    return ids


def _require_someone_left(session: Session, ids: Sequence[int], field: Field, by: Actor) -> None:
    """What `by` may not see does not count, else the answer would tell whether something stands there."""
    seen = visible_fields(by)
    others = [_contacts.c[name].is_(None) for name in editing.IDENTIFYING if name != field.name and name in seen]
    bare = select(func.count()).select_from(_contacts).where(_among(ids), *others)
    if number := session.scalar(bare.where(_contacts.c[field.column].is_not(None))):
        raise InvalidInput(f"{editing.NOBODY} {number:,} of these would be left with none of them.")


def _carry_out(session: Session, statement: Update | Delete, what: str, field: str | None, by: Actor) -> Batch:
    first = session.scalars(_LAST_VERSION).one()
    session.execute(statement, execution_options={"synchronize_session": False})
    found = session.execute(
        sql(
            """SELECT count(*) AS number, min(version_id) AS first, max(version_id) AS last, now()::text AS at
            FROM contact_history WHERE version_id BETWEEN :first AND :last
            AND replaced_at = now() AND replaced_by IS NOT DISTINCT FROM CAST(:by AS integer)"""
        ),
        {"first": first, "last": session.scalars(_LAST_VERSION).one(), "by": by.id},
    ).one()
    return Batch(what, field, found.number, found.first or 0, found.last or 0, found.at, by.id)


def _note(
    session: Session, event: Event, selection: Selection, matched: int, batch: Batch, by: Actor, **details: Any
) -> None:
    audit.write(
        session, event, SUBJECT, by=by,
        filter=selection.filters.sentence(),
        query=selection.filters.query(),
        selected=None if selection.ids is None else len(set(selection.ids)),
        matched=matched,
        changed=batch.count,
        versions=[batch.first, batch.last],
        **({"field": batch.field} if batch.field else {}),
        **details,
    )  # fmt: skip


_OF_BATCH = """h.version_id BETWEEN :first AND :last AND h.replaced_at = CAST(:at AS timestamptz)
    AND h.replaced_by IS NOT DISTINCT FROM CAST(:by_id AS integer) AND h.replaced_import IS NULL"""


def _parameters(batch: Batch) -> dict[str, Any]:
    return {"first": batch.first, "last": batch.last, "at": batch.at, "by_id": batch.by_id}


def _put_back_changed(session: Session, batch: Batch, by: Actor) -> PutBack:
    """What is known of a new address keeps it from going back only for who sees that: the numbers would tell it."""
    field = FIELDS[batch.field or ""]
    column = field.column
    together = ABOUT_EMAIL.get(column, ())
    older = "".join(f", h.{name} AS old_{name}" for name in together)
    others = "".join(f", {name} = u.old_{name}" for name in together)
    seen = visible_fields(by)
    told = " OR ".join(f"c.{name} IS NOT NULL" for name in together if name in seen) or "false"
    session.execute(
        sql(
            f"""SELECT count(*) FROM (SELECT FROM contacts c JOIN contact_history h USING (id)
            WHERE {_OF_BATCH} ORDER BY c.id FOR UPDATE OF c) AS locked"""
        ),
        _parameters(batch),
    )
    found = session.execute(
        sql(
            f"""WITH undoing AS MATERIALIZED (
                SELECT h.id, {editing.still_there("h", field)} AS before{older},
                    CASE WHEN c.id IS NULL THEN 'keep'
                         WHEN c.{column} IS NOT DISTINCT FROM h.{column} THEN 'is back'
                         WHEN next.version_id IS NOT NULL AND c.{column} IS DISTINCT FROM next.{column} THEN 'keep'
                         WHEN {told} THEN 'keep' -- somebody found out since whether mail to the new address arrives
                         WHEN EXISTS (SELECT FROM contact_history o WHERE o.id = h.id AND o.version_id > h.version_id
                              AND (o.replaced_by IS DISTINCT FROM h.replaced_by OR o.replaced_import IS NOT NULL))
                             THEN 'keep'
                         ELSE 'restore' END AS what
                FROM contact_history h LEFT JOIN contacts c USING (id)
                -- What replaced the batch's own value is the next version: it holds what the batch put there.
                LEFT JOIN LATERAL (SELECT o.version_id, o.{column} FROM contact_history o
                    WHERE o.id = h.id AND o.version_id > h.version_id ORDER BY o.version_id LIMIT 1) AS next ON true
                WHERE {_OF_BATCH}
            ), put_back AS (
                UPDATE contacts SET {column} = u.before{others}, updated_at = now() FROM undoing u
                WHERE contacts.id = u.id AND u.what = 'restore' RETURNING 1
            )
            SELECT (SELECT count(*) FROM put_back) AS restored,
                   (SELECT count(*) FROM undoing WHERE what = 'keep') AS kept"""
        ),
        _parameters(batch),
    ).one()
    return PutBack(found.restored, found.kept)


def _put_back_deleted(session: Session, batch: Batch) -> PutBack:
    """A contact that somebody restored in the meantime is there already; one that is not was deleted again."""
    restored = len(editing.bring_back(session, _OF_BATCH, _parameters(batch)))
    still_gone = f"NOT EXISTS (SELECT FROM contacts c WHERE c.id = h.id) AND {_OF_BATCH}"
    kept = session.scalar(sql(f"SELECT count(*) FROM contact_history h WHERE {still_gone}"), _parameters(batch))
    return PutBack(restored, kept or 0)
