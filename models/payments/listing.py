"""Payments as people read them: one's own, everybody's, their refunds and invoices, and the revenue by month."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, literal, select, tuple_
from sqlalchemy import text as sql
from sqlalchemy.orm import Session

from models import accounts
from models.accounts import User
from models.database import LARGEST_ID, reading
from models.errors import InvalidInput, NotFound
from models.payments.states import CAPTURED, CURRENCY, OfferKind, PaymentState, RefundState
from models.payments.tables import Invoice, Offer, Order, Payment, Refund
from models.permissions import OPERATOR, Actor, Permission, require

MOST = 200  # of one page
MOST_MONTHS = 120
FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(2999, 12, 31)  # calendars have room around them
UNKNOWN = "unknown"  # the kind of a payment of which nobody knows what it is for


@dataclass(frozen=True)
class RefundLine:
    """`credits` were taken back with it. `by` is who asked for it here, None where it was asked for elsewhere."""

    id: int
    razorpay_id: str | None
    state: RefundState
    amount: int
    reason: str | None
    error: str | None
    refunded_at: datetime
    credits: int
    by: str | None


@dataclass(frozen=True)
class Listed:
    """A payment. `refunded` is the sum of what was given back or is on its way; `credits` None: it brought none yet.

    `kind` is “plan”, “pack” or UNKNOWN, `title` what was bought; of a plan `invoice_url` is Razorpay's invoice.
    """

    id: int
    razorpay_id: str
    paid_at: datetime
    state: PaymentState
    amount: int
    currency: str
    refunded: int
    kind: str
    title: str | None
    credits: int | None
    credits_back: int
    credits_spent: int
    method: str | None
    error: str | None
    user_id: int | None
    name: str | None
    email: str | None
    order_id: int | None
    subscription_id: int | None
    invoice_url: str | None

    @property
    def is_refundable(self) -> bool:
        return self.state in CAPTURED and self.refunded < self.amount  # a refund of all may have failed


@dataclass(frozen=True)
class Wanted:
    """Which payments: of a state, a kind, a person by their e-mail, paid on whole days in UTC."""

    state: PaymentState | None = None
    kind: str | None = None
    who: str | None = None
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True)
class InvoiceLine:
    """What was paid for, once it was: `number` is ours and counts on, `url` is Razorpay's page of it, of a plan."""

    number: int
    paid_at: datetime
    title: str | None
    amount: int
    refunded: int
    currency: str
    credits: int | None
    razorpay_id: str
    url: str | None


@dataclass(frozen=True)
class Month:
    """Paise that came in and that were given back in a month, in UTC; of those whose buyer is known here."""

    month: date
    captured: int
    refunded: int
    payments: int

    @property
    def revenue(self) -> int:
        return self.captured - self.refunded


Keys = tuple[datetime, int]


def mine(*, after: Keys | None = None, size: int = 50, by: Actor) -> tuple[list[Listed], Keys | None]:
    """A page of one's own, the latest first, and the keys of the next one. Raises NotAllowed."""
    user_id = accounts.require_self(by)
    return _page(_statement().where(Payment.user_id == user_id), after, size)


def page(
    wanted: Wanted, *, after: Keys | None = None, size: int = 50, by: Actor
) -> tuple[list[Listed], Keys | None]:  # fmt: skip
    """A page of everybody's. Raises NotAllowed, InvalidInput (a kind or a day that there is not)."""
    require(by, Permission.PAYMENTS_OVERSEE)
    return _page(_statement().where(*_conditions(wanted)), after, size)


def get(payment_id: int, *, by: Actor) -> tuple[Listed, list[RefundLine]]:
    """A payment with its refunds, also somebody else's. Raises NotAllowed, NotFound."""
    require(by, Permission.PAYMENTS_OVERSEE)
    with reading() as session:
        found = _one(session, Payment.id == (payment_id if 0 < payment_id <= LARGEST_ID else 0))
        if found is None:
            raise NotFound(f"There is no payment {payment_id}.")
        return found, [_refund(*row) for row in session.execute(_refunds().where(Refund.payment_id == found.id))]


def invoices(*, by: Actor) -> list[InvoiceLine]:
    """One's own of what was paid, the latest first. Raises NotAllowed."""
    user_id = accounts.require_self(by)
    paid = Payment.user_id == user_id, Payment.state.in_((PaymentState.CAPTURED, PaymentState.REFUNDED))
    with reading() as session:
        found = [_listed(row) for row in session.execute(_statement().where(*paid))]
    return [
        InvoiceLine(
            one.id, one.paid_at, one.title, one.amount, one.refunded, one.currency, one.credits, one.razorpay_id,
            one.invoice_url,
        )
        for one in found
    ]  # fmt: skip


def revenue(months: int = 12, *, by: Actor) -> list[Month]:
    """The last months, this one included, the oldest first; also those without any. Raises NotAllowed, InvalidInput."""
    require(by, Permission.PAYMENTS_OVERSEE)
    if not 1 <= months <= MOST_MONTHS:
        raise InvalidInput(f"months: give a number from 1 to {MOST_MONTHS}.", field="months")
    asked = {"months": months - 1, "currency": CURRENCY}
    with reading() as session:
        return [Month(*row) for row in session.execute(_REVENUE, asked)]


# A payment counts in the month in which it was made, a refund in that in which it was asked for.
_REVENUE = sql(
    """
    WITH months AS (
        SELECT date_trunc('month', now() AT TIME ZONE 'UTC') - make_interval(months => n) AS month
        FROM generate_series(0, :months) AS n
    ), first AS (SELECT min(month) AT TIME ZONE 'UTC' AS moment FROM months),
    came AS (
        SELECT date_trunc('month', paid_at AT TIME ZONE 'UTC') AS month, sum(amount) AS amount, count(*) AS number
        FROM payments, first
        WHERE state IN ('captured', 'refunded') AND user_id IS NOT NULL AND currency = :currency AND paid_at >= moment
        GROUP BY 1
    ), went AS (
        SELECT date_trunc('month', r.refunded_at AT TIME ZONE 'UTC') AS month, sum(r.amount) AS amount
        FROM payment_refunds r JOIN payments p ON p.id = r.payment_id, first
        WHERE r.state IN ('pending', 'processed') AND p.user_id IS NOT NULL AND p.currency = :currency
            AND r.refunded_at >= moment
        GROUP BY 1
    )
    SELECT CAST(month AS date), CAST(coalesce(came.amount, 0) AS bigint), CAST(coalesce(went.amount, 0) AS bigint),
        coalesce(came.number, 0)
    FROM months LEFT JOIN came USING (month) LEFT JOIN went USING (month) ORDER BY month
    """
)


def named(razorpay_id: str) -> Listed:
    """The payment that the caller just noted."""
    with reading() as session:
        found = _one(session, Payment.razorpay_id == razorpay_id)
    if found is None:
        raise NotFound("The payment is being noted: look again in a minute.")
    return found


def refund_line(refund_id: int) -> RefundLine:
    """The refund that the caller just asked for."""
    with reading() as session:
        return _refund(*session.execute(_refunds().where(Refund.id == refund_id)).one())


def _statement() -> Select[Any]:
    """The columns of Listed, in their order."""
    bought = Offer.__table__.alias("bought")
    back = select(func.coalesce(func.sum(Refund.amount), 0)).where(
        Refund.payment_id == Payment.id, Refund.state != RefundState.FAILED
    )
    failed = (
        select(Refund.id)
        .where(Refund.payment_id == Payment.id, Refund.state == RefundState.FAILED, Refund.razorpay_id.is_not(None))
        .correlate(Payment)
        .exists()
    )  # what Razorpay told of the whole payment still counts it
    url = select(Invoice.url).where(Invoice.razorpay_payment_id == Payment.razorpay_id).order_by(Invoice.id.desc())
    return (
        select(
            Payment.id, Payment.razorpay_id, Payment.paid_at, Payment.state, Payment.amount, Payment.currency,
            case((failed, back.correlate(Payment).scalar_subquery()),
                 else_=func.greatest(back.correlate(Payment).scalar_subquery(), Payment.amount_refunded)),
            _kind(), bought.c.title,
            Payment.credits, Payment.credits_back, Payment.credits_spent, Payment.method, Payment.error,
            Payment.user_id, User.name, User.email, Payment.order_id, Payment.subscription_id,
            url.limit(1).correlate(Payment).scalar_subquery(),
        )
        .outerjoin(User, User.id == Payment.user_id)
        .outerjoin(Order, Order.id == Payment.order_id)
        .outerjoin(bought, bought.c.id == func.coalesce(Order.offer_id, Payment.offer_id))
        .order_by(Payment.paid_at.desc(), Payment.id.desc())
    )  # fmt: skip


def _kind() -> ColumnElement[str]:
    return case(
        (Payment.order_id.is_not(None), literal(OfferKind.PACK.value)),
        (Payment.subscription_id.is_not(None), literal(OfferKind.PLAN.value)),
        else_=literal(UNKNOWN),
    )


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.state is not None:
        found.append(Payment.state == wanted.state)
    if wanted.kind is not None:
        if wanted.kind not in (*OfferKind, UNKNOWN):
            raise InvalidInput(f"kind: choose one of {', '.join((*OfferKind, UNKNOWN))}.", field="kind")
        found.append(_kind() == wanted.kind)
    if wanted.who:
        found.append(User.email == accounts.looked_up(wanted.who))
    for name, day in (("since", wanted.since), ("until", wanted.until)):
        if day is not None and not FIRST_DAY <= day <= LAST_DAY:
            raise InvalidInput(f"{name}: give a day from {FIRST_DAY:%Y} to {LAST_DAY:%Y}.", field=name)
    if wanted.since:
        found.append(Payment.paid_at >= datetime.combine(wanted.since, time(), UTC))
    if wanted.until:
        found.append(Payment.paid_at < datetime.combine(wanted.until, time(), UTC) + timedelta(days=1))
    return found


def _page(statement: Select[Any], after: Keys | None, size: int) -> tuple[list[Listed], Keys | None]:
    if after is not None:
        statement = statement.where(tuple_(Payment.paid_at, Payment.id) < tuple_(*map(literal, after)))
    wanted = max(1, min(size, MOST))
    with reading() as session:
        found = [_listed(row) for row in session.execute(statement.limit(wanted + 1))]
    last = found[wanted - 1] if len(found) > wanted else None
    return found[:wanted], (last.paid_at, last.id) if last else None


def _one(session: Session, which: ColumnElement[bool]) -> Listed | None:
    found = session.execute(_statement().where(which)).one_or_none()
    return _listed(found) if found else None


def _listed(row: Sequence[Any]) -> Listed:
    values = list(row)
    values[3], values[6] = PaymentState(values[3]), int(values[6])
    return Listed(*values)


def _refunds() -> Select[Any]:
    asker = User.__table__.alias("asker")
    return (
        select(Refund, asker.c.name).outerjoin(asker, asker.c.id == Refund.asked_by).order_by(Refund.id)
    )  # fmt: skip


def _refund(one: Refund, name: str | None) -> RefundLine:
    return RefundLine(
        one.id, one.razorpay_id, RefundState(one.state), one.amount, one.reason, one.error, one.refunded_at,
        one.credits, name or (OPERATOR.name if one.key and one.asked_by is None else None),
    )  # fmt: skip
