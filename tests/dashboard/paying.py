"""Payments on a site, made at a Razorpay of the tests, for the tests of screens."""

from models.payments import events, listing, orders, subscriptions
from models.permissions import Actor
from tests.razorpay import KEY_SECRET, Razorpay, Signed, sign


def bought(razorpay: Razorpay, by: Actor, pack: str = "pack-500") -> listing.Listed:
    """A pack that was paid and returned from."""
    order = orders.create(pack, by=by)
    paid = razorpay.pay(order.razorpay_id)
    signature = sign(KEY_SECRET, f"{order.razorpay_id}|{paid['id']}".encode())
    return orders.returned(order.order_id, payment=paid["id"], signature=signature, by=by)


def subscribed(razorpay: Razorpay, by: Actor, plan: str = "pro") -> subscriptions.Own:
    started = subscriptions.start(plan, by=by)
    paid = razorpay.charge(started.razorpay_id)
    signature = sign(KEY_SECRET, f"{paid['id']}|{started.razorpay_id}".encode())
    return subscriptions.returned(payment=paid["id"], signature=signature, by=by)


def tell(signed: Signed) -> None:
    """What the webhook does with a request."""
    number = events.receive(signed.body, signature=signed.signature, event_id=signed.event_id)
    if number is not None:
        events.apply(number)


def broken(razorpay: Razorpay) -> int:
    """An event that cannot be applied, tried until it is given up."""
    refund = razorpay.make("refund", payment_id="pay_nobodytoldof", amount=100, status="processed")
    signed = razorpay.event("refund.processed", refund=refund)
    number = events.receive(signed.body, signature=signed.signature, event_id=signed.event_id)
    assert number is not None
    for _ in range(events.MOST_TRIES):
        events.apply(number)
    return number
