"""Contacts as they were at a moment: a relation with the table's own columns, out of contacts and their history.

It is a common table expression with the table's name, which a select sees in the table's place. So every filter, order,
page, count, chart and export asks of a moment what it asks of now, with the same code.

A moment is that of transactions: everything that a transaction wrote bears the time at which it began. As of a moment
there is what transactions did that began by then, also where they ended later: nobody could have seen it yet. Of two
that overlap, the one that wrote to a contact last left the state that is there from the later of both moments on; the
state that stood for no time between them is in the history, and as of no moment.

What contacts refer to is not looked up in the past: industries and owners have the names of today.
"""

from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import CTE, CompoundSelect, DateTime, Select, bindparam, event, func, select, text
from sqlalchemy.orm import ORMExecuteState, Session

from models.contacts import history_retention
from models.contacts.history import ContactVersion
from models.contacts.moments import When
from models.contacts.table import Contact
from models.errors import InvalidInput, about
from models.imports import Import, State
from models.permissions import Actor, Permission

MOMENT = timedelta(microseconds=1)  # the shortest between two transactions
_contacts = Contact.__table__

# A contact is at the moment what its oldest version was that ended after it; what it is now where none did.
#
# `missing`: it was deleted, and came back later. Whoever brings it back writes `updated_at` anew, at once or together
# with the row (editing.bring_back), so that the state after a deletion begins with its own `updated_at`. The version
# that the deleted one was when it came back, before it was touched, began and ended in one transaction.
_STATES = """
SELECT {current} FROM contacts c
WHERE c.created_at <= :at
  AND NOT EXISTS (SELECT FROM contact_history h WHERE h.id = c.id AND h.replaced_at > :at)
  AND NOT EXISTS (
      SELECT FROM contact_history missing
      WHERE missing.id = c.id AND missing.replaced_how = 'delete' AND missing.replaced_at <= :at
        AND NOT (missing.replaced_at < c.updated_at AND c.updated_at <= :at))
  {chosen_current}
UNION ALL
SELECT {older} FROM contact_history h
WHERE h.replaced_at > :at AND h.created_at <= :at
  AND NOT EXISTS (
      SELECT FROM contact_history o WHERE o.id = h.id AND o.version_id < h.version_id AND o.replaced_at > :at)
  AND NOT EXISTS (
      SELECT FROM contact_history missing
      WHERE missing.id = h.id AND missing.version_id < h.version_id
        AND missing.replaced_how = 'delete' AND missing.replaced_at <= :at
        AND NOT (missing.replaced_at < h.updated_at AND h.updated_at <= :at))
  {chosen_older}
"""
_STILL_THERE = "AND EXISTS (SELECT FROM contacts there WHERE there.id = h.id)"


def resolve(session: Session, when: When, *, field: str = "as_of", may_be_empty: bool = False) -> datetime:
    """The last moment whose changes count. Raises InvalidInput for one that is to come, an import that wrote nothing,
    unless it `may_be_empty` for one before there were contacts, and for one whose history was removed."""
    with about(field):
        at = _of_import(session, when) if isinstance(when.named, int) else _of_clock(session, when)
        if not may_be_empty:
            _require_contacts(session, when, at)
        history_retention.require_whole(session, when.words, at)
    return at


def look_back(session: Session, at: datetime, *, by: Actor) -> None:
    """From now on every select of the session finds contacts as they were `at` that moment."""
    shadow = contacts_at(at, by=by)

    @event.listens_for(session, "do_orm_execute")
    def shadowed(asked: ORMExecuteState) -> None:
        if isinstance(asked.statement, Select | CompoundSelect):
            asked.statement = asked.statement.add_cte(shadow, nest_here=True)


def contacts_at(at: datetime, *, chosen: str = "", by: Actor) -> CTE:
    """The relation, to be added to a select with `nest_here`: there “contacts” is this one.

    `chosen` is the name of a relation with the ids that are wanted, the others are not looked at. For who may not see
    deleted contacts it has none of those that are gone by now: the past is no way round that.
    """
    names = [column.name for column in _contacts.columns]
    among = f"AND {{}}.id IN (SELECT id FROM {chosen})" if chosen else ""
    statement = _STATES.format(
        current=", ".join(f"c.{name}" for name in names),
        older=", ".join(f"h.{name}" for name in names),
        chosen_current=among.format("c"),
        chosen_older=among.format("h") + ("" if by.may(Permission.CONTACTS_EDIT) else f" {_STILL_THERE}"),
    )
    moment = bindparam("at", at, DateTime(timezone=True), unique=True)
    return text(statement).bindparams(moment).columns().cte("contacts").prefix_with("NOT MATERIALIZED")


def _of_import(session: Session, when: When) -> datetime:
    """A transaction's writes bear its moment: what was there before it is what there was a microsecond earlier."""
    found = session.execute(select(Import.state, Import.finished_at).where(Import.id == when.named)).one_or_none()
    if found is None:
        raise InvalidInput(f"There is no import {when.named}: take a day, or the number of another one.")
    if found.state not in (State.COMMITTED, State.UNDONE) or found.finished_at is None:
        raise InvalidInput(
            f"Import {when.named} is {found.state}: it changed no contacts, so there is no moment before or after it."
        )
    at: datetime = found.finished_at
    return at - MOMENT if when.before else at


def _of_clock(session: Session, when: When) -> datetime:
    """By the database's clock, as everything that it keeps."""
    now = session.scalars(select(func.now())).one().astimezone(UTC)
    if isinstance(when.named, datetime):
        if when.named > now:
            raise InvalidInput(f"{when.written} is still to come: it is {now:%Y-%m-%d %H:%M} (UTC) now.")
        return when.named
    assert isinstance(when.named, date)
    if when.named > now.date():
        raise InvalidInput(f"{when.written} is still to come: the last day to look at is today, {now:%Y-%m-%d}.")
    return datetime.combine(when.named + timedelta(days=1), time(), UTC) - MOMENT


def _require_contacts(session: Session, when: When, at: datetime) -> None:
    """Ids rise as contacts come in: two looks at an index, where the least of all moments would take a second."""
    oldest = [
        session.scalar(select(table.c.created_at).order_by(table.c.id).limit(1))
        for table in (_contacts, ContactVersion)
    ]
    first = min((one for one in oldest if one is not None), default=None)
    if first is None:
        raise InvalidInput("There are no contacts yet, and were none before.")
    if first > at:
        came = f"{first.astimezone(UTC):%Y-%m-%d %H:%M:%S} (UTC)"
        raise InvalidInput(f"There were no contacts yet {when.words}: the first came in at {came}.")
