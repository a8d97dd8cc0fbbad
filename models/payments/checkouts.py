"""Opening the checkout of what may be paid already: Razorpay is asked first, as its webhook may be late, and whoever
has left the window, or was told that it failed, cannot know."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select

from models.database import reading
from models.errors import Conflict, Unavailable
from models.payments import comparing, events, gateway, orders, subscriptions
from models.payments.states import OrderState, PaymentState, Source
from models.payments.tables import Payment
from models.permissions import Actor

SOON = 4  # seconds for each answer: somebody looks at an empty page
UNDECIDED = timedelta(minutes=10)  # a payment that was begun may still come in; after that it was given up
ON_ITS_WAY = (
    "A payment of this is on its way: Razorpay has not said yet whether it came in. Do not pay again. Wait some "
    "minutes and look under Plans: once it came in, it stands there; if it fails, you can pay from here again."
)
NOT_KNOWN = (
    "Razorpay does not answer just now, and it may be that this is paid already. Wait some minutes and look under "
    "Plans before you pay."
)


class OnItsWay(Conflict):
    """It may be paid already: a second checkout could take the money twice."""

    def __init__(self) -> None:
        super().__init__(ON_ITS_WAY)


class NotKnown(Unavailable):
    """Razorpay, who knows whether it is paid, does not answer."""

    def __init__(self) -> None:
        super().__init__(NOT_KNOWN)


def open_order(order_id: int, *, by: Actor) -> orders.Checkout:
    """One's own order as Razorpay has it now; one that is paid says so in its state.

    Raises NotAllowed, NotFound, Unavailable (not set up), NotKnown, OnItsWay, Refused.
    """
    found = orders.checkout(order_id, by=by)
    if found.state == OrderState.PAID:
        return found
    answer = _ask(lambda razorpay: razorpay.order.payments(found.razorpay_id, timeout=SOON))
    comparing.mend_payments(answer["items"], Source.ANSWER)
    found = orders.checkout(order_id, by=by)
    if found.state != OrderState.PAID:
        _require_none_on_its_way(Payment.order_id == found.order_id)
    return found


def open_subscription(*, by: Actor) -> subscriptions.Checkout:
    """That of one's own subscription that was started and is not paid. Raises as `open_order` does; NotFound also where
    Razorpay has its first payment."""
    found = subscriptions.checkout(by=by)
    at = events.now()
    answer = _ask(lambda razorpay: razorpay.subscription.fetch(found.razorpay_id, timeout=SOON))
    if comparing.mend_subscription(answer, Source.ANSWER, at=at):
        subscriptions.fetch(found.razorpay_id)  # with what it has charged, whose credits are due
    found = subscriptions.checkout(by=by)
    _require_none_on_its_way(Payment.subscription_id == found.subscription_id)
    return found


def _ask(question: Any) -> Mapping[str, Any]:
    gateway.require_ready()
    try:
        answer: Mapping[str, Any] = gateway.ask(question)
    except Unavailable as error:
        raise NotKnown from error
    return answer


def _require_none_on_its_way(of: ColumnElement[bool]) -> None:
    """What Razorpay has taken and not booked comes in; what was only begun, as from a window that was left, may."""
    recent = Payment.paid_at > func.clock_timestamp() - UNDECIDED
    begun = Payment.state == PaymentState.CREATED
    with reading() as session:
        under_way = or_(Payment.state == PaymentState.AUTHORIZED, begun & recent)
        if session.scalar(select(Payment.id).where(of, under_way).limit(1)) is not None:
            raise OnItsWay
