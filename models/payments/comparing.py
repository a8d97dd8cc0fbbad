"""What Razorpay answers beside what is stored: where they differ, the answer is noted as an event and applied. Where
they do not, nothing is written: asked again and again it changes nothing."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.database import reading
from models.payments import applying, entities, events
from models.payments.entities import InvoiceEntity, PaymentEntity, RefundEntity, SubscriptionEntity
from models.payments.states import ENDED, InvoiceState, OfferKind, PaymentState, RefundState, Source
from models.payments.tables import Invoice, Offer, Payment, Refund, Subscription

Answer = Mapping[str, Any]


def mend_payments(answers: Sequence[Answer], source: Source) -> int:
    """How many differed. Raises InvalidInput (an answer that cannot be read)."""
    told: dict[str, PaymentEntity] = {one["id"]: entities.entity("payment", one) for one in answers}
    with reading() as session:
        wanted = select(Payment).where(Payment.razorpay_id.in_(told))
        stored = {one.razorpay_id: one for one in session.scalars(wanted)}
        late = [one for one in answers if _is_other_payment(told[one["id"]], stored.get(one["id"]))]
    for one in late:
        events.tell(source, "payment.fetched", payment=one)
    return len(late)


def mend_refunds(answers: Sequence[Answer], source: Source) -> int:
    told: dict[str, RefundEntity] = {one["id"]: entities.entity("refund", one) for one in answers}
    with reading() as session:
        wanted = select(Refund.razorpay_id, Refund.state).where(Refund.razorpay_id.in_(told))
        stored = {row.razorpay_id: RefundState(row.state) for row in session.execute(wanted)}
    late = [one for one in answers if _is_later(told[one["id"]].status, stored.get(one["id"]), RefundState)]
    for one in late:
        events.tell(source, "refund.fetched", refund=one)
    return len(late)


def mend_subscription(answer: Answer, source: Source, *, at: datetime) -> int:
    """`at` is from before it was asked for."""
    told: SubscriptionEntity = entities.entity("subscription", answer)
    with reading() as session:
        stored = session.scalar(select(Subscription).where(Subscription.razorpay_id == told.id))
        if stored is None or not _is_other_subscription(session, told, stored):
            return 0
    events.tell(source, "subscription.fetched", at=at, subscription=answer)
    return 1


def mend_invoices(answers: Sequence[Answer], source: Source) -> int:
    """With the payments that they name, which may not be known yet."""
    told: dict[str, InvoiceEntity] = {one["id"]: entities.entity("invoice", one) for one in answers}
    with reading() as session:
        wanted = select(Invoice).where(Invoice.razorpay_id.in_(told))
        stored = {one.razorpay_id: InvoiceState(one.state) for one in session.scalars(wanted)}
        named = [one.payment_id for one in told.values() if one.payment_id]
        charges = select(Payment.razorpay_id).where(Payment.razorpay_id.in_(named), Payment.charge)
        charged = set(session.scalars(charges))
        plans = select(Offer.price).where(Offer.kind == OfferKind.PLAN, Offer.razorpay_id.is_not(None))
        prices = set(session.scalars(plans))
    late = [one for one in answers if _is_other_invoice(told[one["id"]], stored.get(one["id"]), charged, prices)]
    for one in late:
        events.tell(source, applying.FETCHED_INVOICE, invoice=one)
    return len(late)


def _is_other_payment(told: PaymentEntity, stored: Payment | None) -> bool:
    if stored is None:
        return True
    now, was = (applying.rank(state, PaymentState) for state in (told.state, stored.state))
    if now != was:
        return now > was
    values = applying.payment_values(told, stored.told_at)
    return told.amount_refunded > stored.amount_refunded or bool(
        entities.differing(values, stored, applying.OF_PAYMENT)
    )


def _is_other_subscription(session: Session, told: SubscriptionEntity, stored: Subscription) -> bool:
    if stored.state in ENDED:
        return False
    offer = session.scalar(select(Offer.id).where(Offer.razorpay_id == told.plan_id))
    moments: dict[str, datetime | None] = {
        name: getattr(told, name) for name in ("current_start", "current_end", "charge_at", "ended_at")
    }
    values = {
        "state": told.status, "offer_id": offer or stored.offer_id, "paid_count": told.paid_count, **moments,
    }  # fmt: skip
    return bool(entities.differing(values, stored, tuple(values)))


def _is_other_invoice(told: InvoiceEntity, stored: InvoiceState | None, charged: set[str], prices: set[int]) -> bool:
    """Of another amount than a plan's price no charge is made out, however often it is told."""
    is_paid = told.status == InvoiceState.PAID and told.payment_id is not None and told.amount in prices
    return (is_paid and told.payment_id not in charged) or _is_later(told.status, stored, InvoiceState)


def _is_later(told: Any, stored: Any, states: Any) -> bool:
    return stored is None or applying.rank(told, states) > applying.rank(stored, states)
