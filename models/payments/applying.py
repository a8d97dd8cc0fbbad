"""An event joined into what is stored: whatever it tells of orders, payments, refunds, subscriptions and invoices.

Each thing has an order of what can be told of it: of payments and refunds by their state, then by the moment; of
subscriptions, which go back and forth, by the moment, an end being the last. The later wins as a whole; of two that are
equal each value is the larger one. So the same events give the same, in whichever order they come and however often.

Rows are locked in one order (order, subscription, payment, refund, the person's ledger), so that events that come at
once wait for each other and never in a circle.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models import audit
from models.audit import Event
from models.errors import NotFound
from models.payments import settling
from models.payments.entities import PaymentEntity, RefundEntity, SubscriptionEntity, Told
from models.payments.states import (
    CAPTURED,
    ENDED,
    InvoiceState,
    OfferKind,
    OrderState,
    PaymentState,
    RefundState,
    SubscriptionState,
)
from models.payments.tables import Invoice, Offer, Order, Payment, Refund, Subscription
from models.permissions import RAZORPAY

OF_PAYMENT = (
    "state", "told_at", "amount", "currency", "method", "fee", "tax", "error", "paid_at", "razorpay_order_id",
    "razorpay_invoice_id",
)  # fmt: skip
OF_SUBSCRIPTION = (
    "state", "told_at", "offer_id", "paid_count", "current_start", "current_end", "charge_at", "ended_at",
)  # fmt: skip
FETCHED_INVOICE = "invoice.fetched"  # as comparing.py notes it, once the subscription is as Razorpay has it
Named = TypeVar("Named", Order, Subscription, Payment, Refund, Invoice)


def apply(session: Session, told: Told) -> bool:
    """Whether it tells of anything that is kept here. Raises NotFound (a refund of a payment that nobody told of)."""
    order = _order(session, told)
    subscription = _subscription(session, told)
    payment = _payment(session, told, order, subscription)
    refund = _refund(session, told.refund, payment)
    invoice = _invoice(session, told, subscription)
    if payment is not None:
        settling.settle(session, payment)
    return any((order, subscription, payment, refund, invoice))


def rank(state: StrEnum | str, of: type[StrEnum]) -> int:
    return list(of).index(of(state))


def payment_key(state: StrEnum | str, told_at: datetime) -> tuple[Any, ...]:
    """By which of two things told of a payment one is the later."""
    return rank(state, PaymentState), told_at


def subscription_key(state: StrEnum | str, told_at: datetime, paid_count: int) -> tuple[Any, ...]:
    return state in ENDED, told_at, paid_count, rank(state, SubscriptionState)


def payment_values(entity: PaymentEntity, at: datetime) -> dict[str, Any]:
    """What is stored of it under OF_PAYMENT."""
    failed = entity.error_description or entity.error_code
    return {
        "state": entity.state, "told_at": at, "amount": entity.amount, "currency": entity.currency,
        "method": entity.method, "fee": entity.fee, "tax": entity.tax, "error": failed, "paid_at": entity.created_at,
        "razorpay_order_id": entity.order_id, "razorpay_invoice_id": entity.invoice_id,
    }  # fmt: skip


def _order(session: Session, told: Told) -> Order | None:
    name = told.order.id if told.order else told.payment.order_id if told.payment else None
    order = _locked(session, Order, name)
    if order is None:
        return None
    state = max((_state_of_order(told), OrderState(order.state)), key=lambda one: rank(one, OrderState))
    if state != order.state:
        before, order.state = order.state, state
        audit.write(
            session, Event.PAYMENT_CHANGED, f"order {order.id}", by=RAZORPAY,
            before={"state": before}, after={"state": state},
        )  # fmt: skip
    return order


def _state_of_order(told: Told) -> OrderState:
    if told.payment and told.payment.state in CAPTURED:
        return OrderState.PAID
    tried = OrderState.ATTEMPTED if told.payment else OrderState.CREATED
    return max(tried, told.order.status if told.order else tried, key=lambda one: rank(one, OrderState))


def _subscription(session: Session, told: Told) -> Subscription | None:
    """Only of what was started here: of others nobody knows whose they are."""
    of_invoice = told.invoice.subscription_id if told.invoice else None
    named = told.subscription or told.subscriber
    subscription = _locked(session, Subscription, named.id if named else of_invoice)
    if subscription is not None and told.subscription is not None:
        _join_subscription(session, subscription, told.subscription, told.at)
    return subscription


def _join_subscription(session: Session, stored: Subscription, entity: SubscriptionEntity, at: datetime) -> None:
    offer = _plan(session, entity.plan_id)
    values = {
        "state": entity.status, "told_at": at, "offer_id": offer.id if offer else stored.offer_id,
        "paid_count": entity.paid_count, "current_start": entity.current_start, "current_end": entity.current_end,
        "charge_at": entity.charge_at, "ended_at": entity.ended_at,
    }  # fmt: skip
    before = _part(stored, (*OF_SUBSCRIPTION, "next_offer_id"))
    was = subscription_key(stored.state, stored.told_at, stored.paid_count)
    join(stored, OF_SUBSCRIPTION, was, subscription_key(entity.status, at, entity.paid_count), values)
    if stored.next_offer_id == stored.offer_id or stored.state in ENDED:
        stored.next_offer_id = None
    _tell(session, Event.SUBSCRIPTION_CHANGED, f"subscription {stored.id}", before, stored)


def _payment(session: Session, told: Told, order: Order | None, subscription: Subscription | None) -> Payment | None:
    entity = told.payment
    if entity is None:
        return _paid_before(session, told, subscription)
    values = payment_values(entity, told.at)
    made = insert(Payment).values(razorpay_id=entity.id, **values)
    is_new = session.scalar(made.on_conflict_do_nothing().returning(Payment.id)) is not None
    payment = _locked(session, Payment, entity.id)
    assert payment is not None
    before = None if is_new else _part(payment, _ALL_OF_PAYMENT)
    join(payment, OF_PAYMENT, payment_key(payment.state, payment.told_at), payment_key(entity.state, told.at), values)
    payment.amount_refunded = max(payment.amount_refunded, entity.amount_refunded)
    _link(session, payment, told, order, subscription)
    _tell(session, Event.PAYMENT_CHANGED, f"payment {payment.id}", before, payment)
    return payment


_ALL_OF_PAYMENT = (*OF_PAYMENT, "amount_refunded", "order_id", "subscription_id", "user_id", "charge", "offer_id")


def _paid_before(session: Session, told: Told, subscription: Subscription | None) -> Payment | None:
    """The payment that a refund or an invoice is about, where nothing is told of itself."""
    name = told.refund.payment_id if told.refund else told.invoice.payment_id if told.invoice else None
    payment = _locked(session, Payment, name)
    if payment is None:
        if told.refund:
            raise NotFound(f"Nobody told of the payment {name} whose refund this is.")
        return None
    before = _part(payment, _ALL_OF_PAYMENT)
    _link(session, payment, told, None, subscription)
    _tell(session, Event.PAYMENT_CHANGED, f"payment {payment.id}", before, payment)
    return payment


def _link(
    session: Session, payment: Payment, told: Told, order: Order | None, subscription: Subscription | None
) -> None:
    """Whose payment it is, and what for."""
    if order is not None:
        payment.order_id, payment.user_id = order.id, order.user_id
    if subscription is None:
        return
    payment.subscription_id, payment.user_id = subscription.id, subscription.user_id
    of_invoice = told.invoice is not None and told.invoice.status == InvoiceState.PAID
    charged = _charged(session, payment, told, subscription) if told.is_charge or of_invoice else None
    if not payment.charge and charged is not None:
        payment.charge, payment.offer_id = True, charged


def _charged(session: Session, payment: Payment, told: Told, subscription: Subscription) -> int | None:
    """The plan that was charged: the named one at its price, or else the one whose price, now or earlier, was paid.
    None for any other amount, which a comparison reports; and where several plans have the price, until the charge is
    told or the comparison, which has just asked for the subscription, tells of the invoice."""
    offer = _plan(session, told.subscription.plan_id) if told.subscription else None
    if offer is not None and offer.price == payment.amount:
        return offer.id
    of_price = select(Offer.id).where(
        Offer.kind == OfferKind.PLAN, Offer.razorpay_id.is_not(None), Offer.price == payment.amount
    )
    found = set(session.scalars(of_price))
    if len(found) == 1:
        return found.pop()
    is_sure = told.is_charge or told.kind == FETCHED_INVOICE
    return subscription.offer_id if is_sure and subscription.offer_id in found else None


def _refund(session: Session, entity: RefundEntity | None, payment: Payment | None) -> Refund | None:
    """The payment's lock is held: its refunds come one after the other."""
    if entity is None:
        return None
    if payment is None or payment.razorpay_id != entity.payment_id:
        payment = _locked(session, Payment, entity.payment_id)
    if payment is None:
        raise NotFound(f"Nobody told of the payment {entity.payment_id} whose refund this is.")
    values = {"state": entity.status, "amount": entity.amount, "refunded_at": entity.created_at}
    refund = _locked(session, Refund, entity.id) or _asked(session, entity, payment)
    before = _part(refund, (*values, "razorpay_id")) if refund else None
    if refund is None:
        refund = Refund(payment_id=payment.id, razorpay_id=entity.id, **values)
        session.add(refund)
        session.flush()
    refund.razorpay_id = entity.id
    was, now = (rank(state, RefundState) for state in (refund.state, entity.status))
    join(refund, tuple(values), (was,), (now,), values)
    _tell(session, Event.REFUND_CHANGED, f"refund {refund.id}", before, refund)
    return refund


def _asked(session: Session, entity: RefundEntity, payment: Payment) -> Refund | None:
    """The one that was asked for here, which has been waiting for its answer: Razorpay gives the key back."""
    if entity.receipt is None:
        return None
    of_key = Refund.key == entity.receipt, Refund.payment_id == payment.id, Refund.razorpay_id.is_(None)
    return session.scalar(select(Refund).where(*of_key).with_for_update())


def _invoice(session: Session, told: Told, subscription: Subscription | None) -> Invoice | None:
    entity = told.invoice
    if entity is None or subscription is None:
        return None
    values = {
        "state": entity.status, "amount": entity.amount, "razorpay_payment_id": entity.payment_id,
        "url": entity.short_url, "issued_at": entity.issued_at,
    }  # fmt: skip
    made = insert(Invoice).values(razorpay_id=entity.id, subscription_id=subscription.id, **values)
    is_new = session.scalar(made.on_conflict_do_nothing().returning(Invoice.id)) is not None
    invoice = _locked(session, Invoice, entity.id)
    assert invoice is not None
    before = None if is_new else _part(invoice, tuple(values))
    was, now = (rank(state, InvoiceState) for state in (invoice.state, entity.status))
    join(invoice, tuple(values), (was,), (now,), values)
    _tell(session, Event.INVOICE_CHANGED, f"invoice {invoice.id}", before, invoice)
    return invoice


def join(
    stored: object,
    names: Sequence[str],
    was: tuple[Any, ...],
    now: tuple[Any, ...],
    values: Mapping[str, Any],
) -> None:
    """Let the later of both stand in the row; where neither is, of each of the `names` the larger value."""
    if now < was:
        return
    for name in names:
        value, known = values[name], getattr(stored, name)
        if now == was:
            value = max((one for one in (value, known) if one is not None), default=None)
        if value != known:
            setattr(stored, name, value)


def _locked(session: Session, table: type[Named], razorpay_id: str | None) -> Named | None:
    if razorpay_id is None:
        return None
    wanted = select(table).where(table.razorpay_id == razorpay_id).with_for_update()
    return session.scalar(wanted.execution_options(populate_existing=True))


def _plan(session: Session, razorpay_id: str) -> Offer | None:
    return session.scalar(select(Offer).where(Offer.razorpay_id == razorpay_id))


def _part(stored: object, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(stored, name) for name in names}


def _tell(session: Session, event: Event, subject: str, before: dict[str, Any] | None, stored: Any) -> None:
    """The line of what changed, if anything did; `before` None: the thing is new."""
    names = tuple(before) if before is not None else ("state", "amount")
    after = _part(stored, names)
    differing = [name for name in names if name != "told_at" and (before is None or before[name] != after[name])]
    if not differing:
        return
    audit.write(
        session, event, subject, by=RAZORPAY, razorpay=stored.razorpay_id,
        before=None if before is None else _said(before, differing), after=_said(after, differing),
    )  # fmt: skip


def _said(values: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value := values[name], datetime) else value for name in names}
