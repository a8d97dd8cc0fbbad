"""Which contacts a person took out in a month: the same one again is free.

Everything is set-wise: a million ids pass through Python as some hundred texts, and are never taken apart here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Date,
    ForeignKey,
    Identity,
    Index,
    Select,
    Text,
    cast,
    delete,
    exists,
    func,
    select,
    true,
)
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.database import Base, writing
from models.permissions import OPERATOR

SIZE = 4096  # ids in one row


class CreditTaking(Base):
    """Some thousands of the contacts that a person took out in a month."""

    __tablename__ = "credit_takings"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    month: Mapped[date] = mapped_column(Date)
    export_id: Mapped[int | None] = mapped_column(ForeignKey("exports.id"))
    contact_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))

    __table_args__ = (Index("credit_takings_month", "user_id", "month"),)


@dataclass(frozen=True)
class Fresh:
    """The wanted contacts that the person had not taken in the month, as one snapshot has them.

    `pieces` are Postgres' own texts of arrays; `seen` is the last of the person's takings in that snapshot.
    """

    pieces: Sequence[str] = ()
    number: int = 0
    seen: int = 0


def number_of_fresh(session: Session, wanted: Select[Any], *, user_id: int, month: date) -> int:
    """How many of the `wanted` ids the person has not taken in that month."""
    ids = _untaken(wanted, user_id, month).subquery("untaken")
    return session.scalar(select(func.count()).select_from(ids)) or 0


def fresh(session: Session, wanted: Select[Any], *, user_id: int, month: date) -> Fresh:
    """Those of the `wanted` ids that the person has not taken in that month."""
    ids = _untaken(wanted, user_id, month).subquery("untaken")
    # One array, cut afterwards: to number a million rows would take as long as to read them.
    every = select(func.array_agg(ids.c.id, type_=ARRAY(BigInteger)).label("ids")).subquery("every")
    first = func.generate_series(1, func.cardinality(every.c.ids), SIZE).table_valued("first").render_derived()
    piece = cast(every.c.ids[first.c.first : first.c.first + SIZE - 1], Text)
    last = select(func.max(CreditTaking.id)).where(CreditTaking.user_id == user_id, CreditTaking.month == month)
    pieces = list(session.scalars(select(piece).select_from(every.join(first, true()))))
    return Fresh(pieces, sum(one.count(",") + 1 for one in pieces), session.scalar(last) or 0)


def take(session: Session, fresh: Fresh, *, user_id: int, month: date, export_id: int | None) -> int:
    """Note them as taken, but for those that the person took meanwhile; returns how many were not.

    The caller holds the person's lock: takings come one after the other, and so do their ids.
    """
    whose = {"user_id": user_id, "month": month, "seen": fresh.seen}
    parameters = whose | {"pieces": list(fresh.pieces), "export_id": export_id}
    if not fresh.number:
        return 0
    if session.scalar(_ANY_SINCE, whose):
        return int(session.scalars(_TAKE_REST, parameters).one())
    session.execute(_TAKE_ALL, parameters)
    return fresh.number


def clear_past() -> None:
    """Remove those of months that no export belongs to any more: one asked for in a month's last minute runs in the
    next one."""
    before = sql("SELECT CAST(date_trunc('month', now() AT TIME ZONE 'UTC') - interval '1 month' AS date)")
    with writing(OPERATOR) as session:
        session.execute(delete(CreditTaking).where(CreditTaking.month < session.scalars(before).one()))


_ANY_SINCE = sql(
    "SELECT EXISTS (SELECT FROM credit_takings WHERE user_id = :user_id AND month = :month AND id > :seen)"
)
_TAKE_ALL = sql(
    """INSERT INTO credit_takings (user_id, month, export_id, contact_ids)
    SELECT :user_id, :month, :export_id, CAST(ids AS bigint[]) FROM unnest(CAST(:pieces AS text[])) AS ids"""
)
# Ten times as slow, since it takes the arrays apart.
_TAKE_REST = sql(
    """WITH taken AS (
        INSERT INTO credit_takings (user_id, month, export_id, contact_ids)
        SELECT :user_id, :month, :export_id, array_agg(wanted.id)
        FROM unnest(CAST(:pieces AS text[])) WITH ORDINALITY AS piece (ids, place),
            unnest(CAST(piece.ids AS bigint[])) AS wanted (id)
        WHERE NOT EXISTS (
            SELECT FROM credit_takings earlier, unnest(earlier.contact_ids) AS had (id)
            WHERE earlier.user_id = :user_id AND earlier.month = :month AND earlier.id > :seen AND had.id = wanted.id)
        GROUP BY piece.place
        RETURNING cardinality(contact_ids) AS number
    )
    SELECT coalesce(sum(number), 0) FROM taken"""
)


def _untaken(wanted: Select[Any], user_id: int, month: date) -> Select[Any]:
    mine = CreditTaking.user_id == user_id, CreditTaking.month == month
    taken = select(func.unnest(CreditTaking.contact_ids).label("id")).where(*mine).subquery("taken")
    asked = wanted.order_by(None).subquery("wanted")
    return select(asked.c.id).where(~exists().where(taken.c.id == asked.c.id))
