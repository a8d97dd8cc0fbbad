"""Compares the last days with Razorpay: payments, refunds, subscriptions and their invoices.

What differs is noted as an event and applied, as if the webhook had told it: payments that were captured, refunds,
states of subscriptions that were missed. What cannot be mended is reported. A second run finds nothing to mend.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any

from sqlalchemy import func, select

from models.database import reading
from models.errors import AppError
from models.payments import comparing, events, gateway, orders, reconciliations
from models.payments.reconciliations import Begun, Numbers
from models.payments.states import ENDED, RefundState, Source
from models.payments.tables import Payment, Refund, Subscription
from pipelines.heart import Run
from pipelines.recorded import recorded

FLOW = "reconcile-payments"
AT_ONCE = 100
REFUNDS_MAY_FAIL = timedelta(days=30)  # so long after they were made, processed ones included
OVERLAP = timedelta(minutes=15)  # of what was paid so lately Razorpay may not know in its lists yet


def run(number: int) -> Numbers | None:
    """Carry the comparison out; None where it is over, or another process is at it. Raises what Razorpay's client does;
    the comparison is noted as failed then."""
    with reconciliations.claimed() as mine:
        begun = reconciliations.begin(number) if mine else None
        if begun is None:
            return None
        with recorded(FLOW, subject=f"comparison {number}", asked_by=begun.asked_by) as noted:
            return _carry_out(number, begun, noted)


def compare_due(noted: Run) -> None:
    """One that is due by schedule. Like `run`."""
    number = reconciliations.note_due()
    if number is None:
        print("Payments are not set up: there is nothing to compare.")
        return
    with reconciliations.claimed() as mine:
        begun = reconciliations.begin(number) if mine else None
        if begun is not None:
            noted.tell(comparison=number)
            _carry_out(number, begun, noted)


def _carry_out(number: int, begun: Begun, noted: Run) -> Numbers:
    noted.says(f"Comparing the last {begun.days} days with Razorpay")
    try:
        numbers, missing = compare(begun.days)
    except Exception as error:
        sentence = error.sentence if isinstance(error, AppError) else f"{type(error).__name__}: {error}"
        reconciliations.fail(number, sentence[:500])
        raise
    left = reconciliations.finish(number, numbers, missing)
    noted.tell(compared=numbers.compared, mended=numbers.mended, left=left)
    return numbers


def compare(days: int) -> tuple[Numbers, dict[str, str]]:
    """The numbers, and what is here and not at Razorpay, each with its sentence."""
    since, until = _window(days)
    window = {"from": int(since.timestamp()), "to": int(until.timestamp())}
    seen: set[str] = set()
    compared = mended = 0
    for page in _pages(gateway.every("payment", **window)):
        seen.update(one["id"] for one in page)
        compared, mended = compared + len(page), mended + comparing.mend_payments(page, Source.RECONCILIATION)
    first = min(since, until - REFUNDS_MAY_FAIL)
    for page in _pages(gateway.every("refund", **{**window, "from": int(first.timestamp())})):
        _fetch_unknown({one["payment_id"] for one in page})
        compared, mended = compared + len(page), mended + comparing.mend_refunds(page, Source.RECONCILIATION)
    for refund in _pending_refunds(first):
        compared, mended = compared + 1, mended + comparing.mend_refunds([refund], Source.RECONCILIATION)
    missing = _unknown_to_razorpay(since, until - OVERLAP, seen)
    for name in _subscriptions(since):
        try:
            asked, put_right = _compare_subscription(name)
        except gateway.Refused as refused:
            missing[name] = f"Of the subscription {name} Razorpay says: {refused.said}."
            continue
        compared, mended = compared + asked, mended + put_right
    return Numbers(compared, mended), missing


def _compare_subscription(name: str) -> tuple[int, int]:
    at = events.now()
    answer = gateway.ask(lambda razorpay: razorpay.subscription.fetch(name, timeout=gateway.PATIENCE))
    mended = comparing.mend_subscription(answer, Source.RECONCILIATION, at=at)
    invoices = list(gateway.every("invoice", subscription_id=name))
    _fetch_unknown({one["payment_id"] for one in invoices if one.get("payment_id")})
    return 1 + len(invoices), mended + comparing.mend_invoices(invoices, Source.RECONCILIATION)


def _pending_refunds(since: datetime) -> Iterator[dict[str, Any]]:
    """Those of before that Razorpay has neither made nor given up, as far as we know."""
    pending = Refund.state == RefundState.PENDING, Refund.refunded_at < since, Refund.razorpay_id.is_not(None)
    with reading() as session:
        names = list(session.scalars(select(Refund.razorpay_id).where(*pending).order_by(Refund.id)))
    for name in names:
        yield gateway.ask(partial(_refund, name))


def _refund(name: str | None, razorpay: Any) -> Any:
    return razorpay.refund.fetch(name, timeout=gateway.PATIENCE)


def _fetch_unknown(names: set[str]) -> None:
    """Payments that a refund or an invoice names, and that are older than what is compared."""
    with reading() as session:
        known = set(session.scalars(select(Payment.razorpay_id).where(Payment.razorpay_id.in_(names))))
    for name in sorted(names - known):
        orders.fetch_payment(name)


def _window(days: int) -> tuple[datetime, datetime]:
    with reading() as session:
        now: datetime = session.scalars(select(func.clock_timestamp())).one()
    return now - timedelta(days=days), now


def _subscriptions(since: datetime) -> list[str]:
    """Those that go on, and those that ended in what is compared."""
    goes_on = Subscription.state.not_in(ENDED) | (Subscription.ended_at >= since)
    with reading() as session:
        return list(session.scalars(select(Subscription.razorpay_id).where(goes_on).order_by(Subscription.id)))


def _unknown_to_razorpay(since: datetime, until: datetime, seen: set[str]) -> dict[str, str]:
    wanted = select(Payment.razorpay_id).where(Payment.paid_at >= since, Payment.paid_at < until)
    with reading() as session:
        ours = list(session.scalars(wanted.order_by(Payment.id)))
    told = "Razorpay's list of payments does not have {}: it was perhaps made with other keys, those of a test."
    return {name: told.format(name) for name in ours if name not in seen}


def _pages(answers: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    left = iter(answers)
    while page := list(islice(left, AT_ONCE)):
        yield page
