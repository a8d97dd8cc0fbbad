"""Buying a pack: an order at Razorpay, its checkout, and the person's return from there."""

import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models import audit
from models.accounts import User
from models.audit import Event
from models.database import LARGEST_ID, reading, writing
from models.errors import InvalidInput, NotFound, Unavailable
from models.payments import comparing, entities, events, gateway, listing, offers, signatures
from models.payments.states import CURRENCY, OfferKind, OrderState, PaymentState, Source
from models.payments.tables import Offer, Order, Payment
from models.permissions import Actor

WRONG = (
    "The signature does not fit: this is not what Razorpay's checkout answered. If you have paid, your payment appears "
    "here by itself within some minutes."
)


@dataclass(frozen=True)
class Checkout:
    """What Razorpay's checkout is opened with, and what a page says beside it. `amount` in paise."""

    order_id: int
    state: OrderState
    key_id: str
    razorpay_id: str
    amount: int
    currency: str
    credits: int
    title: str
    name: str
    email: str


def create(pack: str, *, by: Actor) -> Checkout:
    """An order for that pack (“pack-500”). Raises NotAllowed, NotFound, Unavailable, Refused."""
    user_id = offers.require_buying(by)
    with reading() as session:
        offer = offers.sold(offers.on_sale(session, pack, OfferKind.PACK))
    wanted = {
        "amount": offer.price, "currency": offer.currency, "receipt": f"a360-{secrets.token_hex(12)}",
        "payment_capture": 1,
    }  # fmt: skip
    # One that is made there, and not noted here, nobody can pay: its checkout is not shown.
    made = gateway.ask(lambda razorpay: razorpay.order.create(wanted, timeout=gateway.PATIENCE))
    with writing(by) as session:
        order = Order(
            user_id=user_id, offer_id=offer.id, credits=offer.credits, amount=offer.price, razorpay_id=made["id"],
            state=OrderState.CREATED,
        )  # fmt: skip
        session.add(order)
        session.flush()
        audit.write(
            session, Event.ORDER_CREATED, f"order {order.id}", by=by, razorpay=order.razorpay_id, offer=offer.code,
            amount=order.amount, credits=order.credits,
        )  # fmt: skip
        return _checkout(session, order)


def checkout(order_id: int, *, by: Actor) -> Checkout:
    """One's own order again. Raises NotAllowed, NotFound, Unavailable."""
    user_id = offers.require_buying(by)
    with reading() as session:
        order = _own(session, order_id, user_id)
        gateway.require_ready()
        return _checkout(session, order)


def returned(order_id: int, *, payment: str, signature: str, by: Actor) -> listing.Listed:
    """Note what Razorpay's checkout answered for one's own order: `payment` is Razorpay's name of it.

    The payment is there from then on; that it was captured, and its credits, come from Razorpay itself, which is asked
    at once; where it does not answer, by its webhook. Raises NotAllowed, NotFound, Unavailable (not set up),
    InvalidInput (the signature does not fit).
    """
    user_id = offers.require_buying(by)
    with reading() as session:
        order = _own(session, order_id, user_id)
        session.expunge(order)
    checked(payment, signatures.of_order(order.razorpay_id, payment), signature)
    note(payment, order.amount, {"order_id": order.razorpay_id})
    fetch_payment(payment)
    return listing.named(payment)


def checked(payment: str, message: bytes, signature: str) -> None:
    """Raises InvalidInput where the checkout did not sign that message, Unavailable."""
    secret = gateway.require_ready().razorpay_key_secret
    assert secret is not None
    if not signatures.fits(secret, message, signature):
        raise InvalidInput(WRONG, field="razorpay_signature")
    entities.entity("subscriber", {"id": payment})


def note(name: str, amount: int, more: dict[str, Any], **told: Any) -> None:
    """That a person has returned from the checkout with this payment, where nothing is known of it yet."""
    with reading() as session:
        if session.scalar(select(Payment.id).where(Payment.razorpay_id == name, Payment.user_id.is_not(None))):
            return
        now = session.scalars(select(func.extract("epoch", func.now()))).one()
    entity = {
        "id": name, "status": PaymentState.CREATED, "amount": amount, "currency": CURRENCY, "created_at": int(now),
        **more,
    }  # fmt: skip
    events.tell(Source.RETURN, "payment.returned", payment=entity, **told)


def fetch_payment(name: str) -> None:
    """Ask Razorpay what became of the payment, and note its answer; nothing where it does not answer."""
    try:
        answer = gateway.ask(lambda razorpay: razorpay.payment.fetch(name, timeout=gateway.PATIENCE))
    except (Unavailable, gateway.Refused):
        return
    comparing.mend_payments([answer], Source.ANSWER)


def _own(session: Session, order_id: int, user_id: int) -> Order:
    order = session.get(Order, order_id) if 0 < order_id <= LARGEST_ID else None
    if order is None or order.user_id != user_id:
        raise NotFound(f"There is no order {order_id} of yours.")
    return order


def _checkout(session: Session, order: Order) -> Checkout:
    offer, user = session.get_one(Offer, order.offer_id), session.get_one(User, order.user_id)
    key_id = gateway.require_ready().razorpay_key_id
    assert key_id is not None
    return Checkout(
        order.id, OrderState(order.state), key_id, order.razorpay_id, order.amount, CURRENCY, order.credits,
        offer.title, user.name, user.email,
    )  # fmt: skip
