"""How long the history of contacts is kept, and what refuses once the older part of it was removed.

By default it is kept for ever. With APPOINTMENT360_DAYS_KEPT_HISTORY the versions that were replaced before that many
days are removed, and this is what is given up:

- Undo of an import that was committed before, which reads the versions that it replaced: it is refused.
- As-of, and what changed since, at a moment before: it is refused.
- Undo of what somebody did to many contacts before: it is refused.
- A contact's history, and where its values come from, begin with that moment.

What is undone after that moment, and looked at as of a moment after it, is exact, since these versions stay whatever
their age: deletions, with which deleted contacts are restored and as-of knows who was gone; the newest version of
each contact, whose number says whether it was changed meanwhile; and all versions of contacts that were ever merged, or
that the undo of an import left as they were, which taking those apart or undoing another import reads.

The moment is noted first, while nobody changes contacts: an undo that began before has all versions when it ends.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Integer, func, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import audit
from models.audit import Event
from models.database import Base, writing
from models.errors import Conflict, InvalidInput
from models.permissions import OPERATOR

BATCH = 10_000
ONE = 1  # the number of the row
DAY = timedelta(days=1)


class HistoryBegin(Base):
    """One row, once anything was removed: versions replaced before `at` may be gone."""

    __tablename__ = "history_begin"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False, server_default="1")
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    versions: Mapped[int] = mapped_column(BigInteger, server_default="0")  # that were removed in all

    __table_args__ = (CheckConstraint("id = 1", name="history_begin_once"),)


# By where they lie, so that each batch reads no more than it deletes. The conditions are those of the docstring.
_REMOVE = """
    WITH gone AS (
        DELETE FROM contact_history WHERE ctid = ANY(ARRAY(
            SELECT h.ctid FROM contact_history h
            WHERE h.replaced_at < :before AND h.replaced_how = 'update'
                AND EXISTS (SELECT FROM contact_history n WHERE n.id = h.id AND n.version_id > h.version_id)
                AND NOT EXISTS (SELECT FROM contact_merges m WHERE m.survivor_id = h.id)
                AND NOT EXISTS (SELECT FROM contact_merge_parts p WHERE p.contact_id = h.id)
                AND NOT EXISTS (SELECT FROM kept WHERE kept.contact_id = h.id)
            LIMIT :most))
        RETURNING 1)
    SELECT count(*) FROM gone"""
_KEPT = "CREATE TEMPORARY TABLE kept ON COMMIT DROP AS SELECT DISTINCT contact_id FROM import_kept"


def expire(older_than_days: int) -> int:
    """Remove the versions that were replaced longer ago; how many. For each batch, which is one transaction, an audit
    line tells how many and until when. It begins only once the last moment is a day older."""
    begin = _begun(older_than_days)
    if begin is None:
        return 0
    total = 0
    while number := _expire_some(begin):
        total += number
    return total


def begin(session: Session) -> datetime | None:
    """Since when the history is whole; None where it always was."""
    return session.scalar(select(HistoryBegin.at))


def require_undoable(session: Session, what: str, done_at: datetime | None) -> None:
    """For the undo of what was done at that moment. The caller holds the lock on contacts. Raises Conflict."""
    _require(session, f"{what} cannot be undone any more", done_at)


def require_known(session: Session, what: str, done_at: datetime | None) -> None:
    """For showing what was done at that moment from the versions that it replaced. Raises Conflict."""
    _require(session, f"{what} is not known any more", done_at)


def require_whole(session: Session, words: str, at: datetime) -> None:
    """For looking at contacts as they were then. Raises InvalidInput."""
    since = begin(session)
    if since is not None and at < since:
        raise InvalidInput(
            f"Contacts {words} are not known any more: their history before {_said(since)} was removed, as "
            "APPOINTMENT360_DAYS_KEPT_HISTORY asks for. Take a later moment."
        )


def _require(session: Session, refusal: str, done_at: datetime | None) -> None:
    at = begin(session)
    if at is not None and (done_at is None or done_at < at):
        raise Conflict(
            f"{refusal}: the history of contacts before {_said(at)} was removed, as "
            "APPOINTMENT360_DAYS_KEPT_HISTORY asks for. A backup of that time still has it."
        )


def _begun(days: int) -> datetime | None:
    """The moment before which versions go, noted; the earlier one while that is less than a day older."""
    with writing(OPERATOR) as session:
        at = session.scalars(select(func.now() - timedelta(days=days))).one()
        known = session.get(HistoryBegin, ONE)
        if known is not None and known.at > at - DAY:
            return known.at
        old = select(text("1")).select_from(text("contact_history")).where(text("replaced_at < :at")).limit(1)
        if session.scalar(old, {"at": at}) is None:
            return None
        # Undo holds a stronger one: it ends first, and whoever begins it after this sees the moment.
        session.execute(text("LOCK TABLE contacts IN ROW EXCLUSIVE MODE"))
        if known is None:
            session.add(HistoryBegin(id=ONE, at=at, versions=0))
        else:
            known.at = at
        audit.write(session, Event.HISTORY_EXPIRED, "contact history", by=OPERATOR, until=_written(at), days=days)
        return at


def _expire_some(before: datetime) -> int:
    with writing(OPERATOR) as session:
        session.execute(text(_KEPT))
        number = int(session.scalars(text(_REMOVE), {"before": before, "most": BATCH}).one())
        if number:
            session.get_one(HistoryBegin, ONE, with_for_update=True).versions += number
            audit.write(
                session, Event.HISTORY_EXPIRED, "contact history", by=OPERATOR, versions=number, until=_written(before)
            )
        return number


def _written(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")


def _said(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} (UTC)"
