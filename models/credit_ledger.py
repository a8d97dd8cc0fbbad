"""The ledger of download credits: it only grows, and whoever writes into it holds its person's lock.

A pool is a month's allowance, or with month NULL what was granted and bought, which lasts. Months are those of UTC, by
the database's clock. Always: a pool's balance is the sum of its amounts, and never below zero (the table's own rule).
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Text,
    func,
    insert,
    select,
)
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import audit
from models.audit import Event
from models.database import CREDITS_LOCK, Base
from models.errors import NotEnoughCredits
from models.permissions import Actor


class Kind(StrEnum):
    ALLOWANCE = "allowance"  # of a month, or what a changed limit adds to it or takes from it
    GRANT = "grant"
    TAKEN_BACK = "taken back"  # of what was granted or bought
    PURCHASE = "purchase"
    RESERVED = "reserved"  # for an export that was asked for
    SETTLED = "settled"  # taken at once, or beyond what was reserved
    REFUNDED = "refunded"


SPENDING = (Kind.RESERVED, Kind.SETTLED, Kind.REFUNDED)


class CreditEntry(Base):
    __tablename__ = "credit_entries"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    month: Mapped[date | None] = mapped_column(Date)
    kind: Mapped[str] = mapped_column(Text)
    amount: Mapped[int] = mapped_column(BigInteger)
    balance: Mapped[int] = mapped_column(BigInteger)  # of the pool, after this entry
    export_id: Mapped[int | None] = mapped_column(ForeignKey("exports.id"))
    payment_id: Mapped[int | None] = mapped_column(ForeignKey("payments.id"))
    refund_id: Mapped[int | None] = mapped_column(ForeignKey("payment_refunds.id"))
    created_by: Mapped[int | None]
    note: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        CheckConstraint("balance >= 0", name="credit_entries_balance"),
        Index("credit_entries_pool", "user_id", "month", "id"),
        Index("credit_entries_export", "export_id"),
        # A payment's credits are given once, and those of a refund taken back once.
        Index(
            "credit_entries_payment", "payment_id", "refund_id", "kind", unique=True,
            postgresql_where=sql("payment_id IS NOT NULL"), postgresql_nulls_not_distinct=True,
        ),
    )  # fmt: skip


_THIS_MONTH = sql("SELECT CAST(date_trunc('month', now() AT TIME ZONE 'UTC') AS date)")
# `spent` is what the month's pool gave; what the lasting pool gave for the same contacts stands in the latter.
_ACCOUNT = sql(
    """SELECT u.email, u.download_limit AS limit,
        coalesce((SELECT e.balance FROM credit_entries e WHERE e.user_id = u.id AND e.month = :month
                  ORDER BY e.id DESC LIMIT 1), 0) AS monthly,
        coalesce((SELECT e.balance FROM credit_entries e WHERE e.user_id = u.id AND e.month IS NULL
                  ORDER BY e.id DESC LIMIT 1), 0) AS lasting,
        coalesce((SELECT -sum(e.amount) FROM credit_entries e WHERE e.user_id = u.id AND e.month = :month
                  AND e.kind = ANY (:spending)), 0)::bigint AS spent
    FROM users u WHERE u.id = :user_id"""
)


@dataclass
class Account:
    """One person's pools in one month, as they stand while the lock is held. `limit` None is no limit."""

    user_id: int
    email: str
    month: date
    limit: int | None
    monthly: int
    lasting: int
    spent: int
    """Of the month's pool."""

    @property
    def due(self) -> int:
        """What the month's allowance has to gain so that it is the limit, or to lose of what is left of it."""
        return 0 if self.limit is None else max(0, self.limit - self.spent) - self.monthly


def this_month(session: Session) -> date:
    """The first day of the month in which the transaction began."""
    month: date = session.scalars(_THIS_MONTH).one()
    return month


def renewal(month: date) -> date:
    """The first day of the month after it."""
    return (month.replace(day=28) + timedelta(days=4)).replace(day=1)


def read(session: Session, user_id: int, month: date) -> Account:
    """As it stands now, without the lock: for looking only."""
    parameters = {"user_id": user_id, "month": month, "spending": list(SPENDING)}
    found = session.execute(_ACCOUNT, parameters).one()
    return Account(user_id, found.email, month, found.limit, found.monthly, found.lasting, found.spent)


def opened(session: Session, user_id: int, *, by: Actor, month: date | None = None) -> Account:
    """Take the person's lock for the session's transaction, and post what is due of this month's allowance.

    A month that is over keeps the allowance that it had.
    """
    _lock(session, user_id)
    current = this_month(session)
    account = read(session, user_id, month or current)
    if account.month == current:
        _level(session, account, by=by)
    return account


def limit_changed(session: Session, user_id: int, *, by: Actor) -> None:
    """In the transaction that changed a person's limit: post what the month's allowance gains or loses by that.

    Where nothing was posted in this month yet, the first look will.
    """
    session.flush()
    _lock(session, user_id)
    account = read(session, user_id, this_month(session))
    begun = select(CreditEntry.id).where(CreditEntry.user_id == user_id, CreditEntry.month == account.month).limit(1)
    if account.due and session.scalar(begun) is not None:
        before = account.monthly
        _level(session, account, by=by)
        audit.write(
            session, Event.CREDITS_CHANGED, f"user {account.email}", by=by,
            month=account.month.isoformat(), limit=account.limit,
            before={"credits": before}, after={"credits": account.monthly},
        )  # fmt: skip


def spend(
    session: Session, account: Account, amount: int, kind: Kind, *, by: Actor, export_id: int | None = None
) -> None:
    """Take credits from the month's pool, then from what lasts. Without a limit the month has as many as are taken.

    Raises NotEnoughCredits.
    """
    if account.limit is None:
        missing = max(0, amount - account.monthly)
        _post(session, account, account.month, Kind.ALLOWANCE, missing, by=by, note="no limit")
    elif amount > account.monthly + account.lasting:
        raise NotEnoughCredits(amount, monthly=account.monthly, lasting=account.lasting, until=renewal(account.month))
    from_month = min(amount, account.monthly)
    _post(session, account, account.month, kind, -from_month, by=by, export_id=export_id)
    _post(session, account, None, kind, from_month - amount, by=by, export_id=export_id)


def held(session: Session, export_id: int) -> int:
    """The credits that the export holds: reserved, settled, and not given back."""
    return sum(_held(session, export_id).values())


def give_back(session: Session, account: Account, amount: int, *, export_id: int, by: Actor) -> int:
    """Return so many of the credits that the export holds, first to what lasts, for the month's end sooner; how many
    of them went there."""
    pools = _held(session, export_id)
    lasting = min(amount, pools.get(None, 0))
    _post(session, account, None, Kind.REFUNDED, lasting, by=by, export_id=export_id)
    _post(session, account, account.month, Kind.REFUNDED, amount - lasting, by=by, export_id=export_id)
    return lasting


def add(
    session: Session,
    account: Account,
    amount: int,
    kind: Kind,
    *,
    note: str | None,
    by: Actor,
    payment_id: int | None = None,
    refund_id: int | None = None,
    even_none: bool = False,
) -> None:
    """Put credits into the pool that lasts; below zero, take them out of it. Of a payment and a refund each kind is
    there once: that is a rule of the table. `even_none` writes an entry of no credits too."""
    _post(
        session, account, None, kind, amount, by=by, note=note, payment_id=payment_id, refund_id=refund_id,
        even_none=even_none,
    )  # fmt: skip


def _lock(session: Session, user_id: int) -> None:
    session.execute(select(func.pg_advisory_xact_lock(CREDITS_LOCK, user_id)))


def _level(session: Session, account: Account, *, by: Actor) -> None:
    _post(session, account, account.month, Kind.ALLOWANCE, account.due, by=by)


def _held(session: Session, export_id: int) -> dict[date | None, int]:
    pools = select(CreditEntry.month, -func.sum(CreditEntry.amount)).where(CreditEntry.export_id == export_id)
    return {month: int(amount) for month, amount in session.execute(pools.group_by(CreditEntry.month))}


def _post(
    session: Session,
    account: Account,
    month: date | None,
    kind: Kind,
    amount: int,
    *,
    by: Actor,
    export_id: int | None = None,
    payment_id: int | None = None,
    refund_id: int | None = None,
    note: str | None = None,
    even_none: bool = False,
) -> None:
    if not amount and not even_none:
        return
    if month is None:
        account.lasting += amount
    else:
        account.monthly += amount
        account.spent -= amount if kind in SPENDING else 0
    values = {
        "user_id": account.user_id,
        "month": month,
        "kind": kind,
        "amount": amount,
        "balance": account.lasting if month is None else account.monthly,
        "export_id": export_id,
        "payment_id": payment_id,
        "refund_id": refund_id,
        "created_by": by.doer_id,
        "note": note,
    }
    session.execute(insert(CreditEntry).values(values))
