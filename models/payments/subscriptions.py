"""One's own subscription: started, changed and cancelled for the end of its period, paused, resumed.

Razorpay charges each month and tells of it; each charge brings the plan's credits, which last like those of a pack.
Nothing is charged or given back in between: a change and a cancellation wait for the end of the month that was paid.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models import accounts, audit
from models.accounts import User
from models.audit import Event
from models.database import reading, writing
from models.errors import Conflict, NotFound, Unavailable
from models.payments import comparing, events, gateway, offers, orders, signatures
from models.payments.offers import Sold
from models.payments.states import CURRENCY, RUNNING, OfferKind, Source, SubscriptionState
from models.payments.tables import Offer, Subscription
from models.permissions import Actor

MONTHS = 120  # ten years: then it is completed, and somebody who still wants it starts another one
CHANGEABLE = (SubscriptionState.AUTHENTICATED, SubscriptionState.ACTIVE)  # Razorpay changes no others


@dataclass(frozen=True)
class Own:
    """A subscription as its person sees it. `next_plan` is what it becomes with the next charge."""

    id: int
    razorpay_id: str
    state: SubscriptionState
    plan: Sold
    next_plan: Sold | None
    cancels_at_end: bool
    paid_count: int
    current_start: datetime | None
    current_end: datetime | None
    charge_at: datetime | None
    ended_at: datetime | None
    created_at: datetime


@dataclass(frozen=True)
class Checkout:
    """What Razorpay's checkout is opened with; `amount` in paise, each month."""

    subscription_id: int
    key_id: str
    razorpay_id: str
    amount: int
    currency: str
    credits: int
    title: str
    name: str
    email: str


def current(*, by: Actor) -> Own | None:
    """One's own that runs, or else the last one; None where there never was any. Raises NotAllowed."""
    user_id = accounts.require_self(by)
    with reading() as session:
        found = _current(session, user_id)
        return _own(session, found) if found else None


def start(plan: str, *, by: Actor) -> Checkout:
    """A subscription to that plan (“pro”), which begins once its checkout is paid.

    One that was started and not paid is taken again, or given up for that of another plan. Raises NotAllowed, NotFound,
    Conflict (one runs already), Unavailable, Refused.
    """
    user_id = offers.require_buying(by)
    with reading() as session:
        offer = offers.sold(offers.on_sale(session, plan, OfferKind.PLAN))
        last = _current(session, user_id)
        if last is not None and last.state in RUNNING:
            raise Conflict("You have a subscription already: change its plan, or cancel it first.")
        if last is not None and last.state == SubscriptionState.CREATED and last.offer_id == offer.id:
            gateway.require_ready()
            return _checkout(session, last)
        left = last.razorpay_id if last is not None and last.state == SubscriptionState.CREATED else None
    wanted = {
        "plan_id": offers.razorpay_plan(offer.id), "total_count": MONTHS, "quantity": 1, "customer_notify": 1,
    }  # fmt: skip
    made = gateway.ask(lambda razorpay: razorpay.subscription.create(wanted, timeout=gateway.PATIENCE))
    with writing(by) as session:
        started = Subscription(
            user_id=user_id, offer_id=offer.id, razorpay_id=made["id"], state=SubscriptionState.CREATED,
            told_at=func.to_timestamp(0),
        )  # fmt: skip
        session.add(started)
        session.flush()
        audit.write(
            session, Event.SUBSCRIPTION_STARTED, f"subscription {started.id}", by=by, razorpay=started.razorpay_id,
            offer=offer.code, amount=offer.price,
        )  # fmt: skip
        made_here = _checkout(session, started)
    if left is not None:
        _give_up(left)
    return made_here


def checkout(*, by: Actor) -> Checkout:
    """That of one's own subscription that was started and not paid yet. Raises NotAllowed, NotFound, Unavailable."""
    user_id = offers.require_buying(by)
    with reading() as session:
        found = _current(session, user_id)
        if found is None or found.state != SubscriptionState.CREATED:
            raise NotFound("You have no subscription that waits for its first payment.")
        gateway.require_ready()
        return _checkout(session, found)


def returned(*, payment: str, signature: str, by: Actor) -> Own:
    """Note what the checkout answered for one's own subscription; its state comes from Razorpay, which is asked.

    Raises NotAllowed, NotFound, Unavailable (not set up), InvalidInput (the signature does not fit).
    """
    user_id = offers.require_buying(by)
    mine = select(Subscription.razorpay_id, Offer.price).join(Offer, Offer.id == Subscription.offer_id)
    with reading() as session:
        found = list(session.execute(mine.where(Subscription.user_id == user_id).order_by(Subscription.id.desc())))
    if not found:
        raise NotFound("You have no subscription.")
    name, amount = next((one for one in found if _is_signed(one.razorpay_id, payment, signature)), found[0])
    orders.checked(payment, signatures.of_subscription(name, payment), signature)
    orders.note(payment, amount, {}, subscriber={"id": name})
    orders.fetch_payment(payment)
    fetch(name)
    with reading() as session:
        return _own(session, _last(session, user_id))


def change(plan: str, *, by: Actor) -> Own:
    """Let the subscription be that plan from its next charge on; its own plan takes back such a wish.

    Raises NotAllowed, NotFound, Conflict (its state allows no change), Unavailable, Refused (of UPI and of some cards
    Razorpay changes none).
    """
    user_id = offers.require_buying(by)
    with reading() as session:
        offer = offers.sold(offers.on_sale(session, plan, OfferKind.PLAN))
        found = _running(session, user_id, CHANGEABLE, "changed")
        has, waits, ends = found.offer_id, found.next_offer_id is not None, found.cancels_at_end
    if ends:
        raise Conflict("Your subscription ends with its period: then start one with the other plan.")
    if offer.id == has:
        if not waits:
            raise Conflict(f"Your subscription is {offer.title} already.")
        return _act(user_id, lambda of, name, **how: of.cancel_scheduled_changes(name, **how), by, next_offer_id=None)
    wanted = {"plan_id": offers.razorpay_plan(offer.id), "schedule_change_at": "cycle_end"}
    return _act(user_id, lambda of, name, **how: of.edit(name, wanted, **how), by, next_offer_id=offer.id)


def cancel(*, by: Actor) -> Own:
    """Let it end with the period that was paid; one that is not active ends at once. Raises as `change` does."""
    user_id = offers.require_buying(by)
    with reading() as session:
        found = _running(session, user_id, RUNNING, "cancelled")
        at_end = found.state == SubscriptionState.ACTIVE
    wanted = {"cancel_at_cycle_end": int(at_end)}
    return _act(user_id, lambda of, name, **how: of.cancel(name, wanted, **how), by, cancels_at_end=at_end)


def pause(*, by: Actor) -> Own:
    """No charges, and no credits, until it is resumed. Raises as `change` does."""
    user_id = offers.require_buying(by)
    with reading() as session:
        _running(session, user_id, (SubscriptionState.ACTIVE,), "paused")
    return _act(user_id, lambda of, name, **how: of.pause(name, {"pause_at": "now"}, **how), by)


def resume(*, by: Actor) -> Own:
    """Go on after a pause. Raises as `change` does."""
    user_id = offers.require_buying(by)
    with reading() as session:
        _running(session, user_id, (SubscriptionState.PAUSED,), "resumed")
    return _act(user_id, lambda of, name, **how: of.resume(name, {"resume_at": "now"}, **how), by)


def fetch(name: str) -> None:
    """Ask Razorpay for the subscription and its invoices, and note what it answers; nothing where it does not."""
    at = events.now()
    try:
        answer = gateway.ask(lambda razorpay: razorpay.subscription.fetch(name, timeout=gateway.PATIENCE))
        invoices = list(gateway.every("invoice", subscription_id=name))
    except (Unavailable, gateway.Refused):
        return
    comparing.mend_subscription(answer, Source.ANSWER, at=at)
    comparing.mend_invoices(invoices, Source.ANSWER)


def _act(user_id: int, question: Callable[..., Any], by: Actor, **kept: Any) -> Own:
    """Ask for it at Razorpay, note what only we know of it, and then what Razorpay answers."""
    with reading() as session:
        name = _last(session, user_id).razorpay_id
    answer = gateway.ask(lambda razorpay: question(razorpay.subscription, name, timeout=gateway.PATIENCE))
    with writing(by) as session:
        found = session.scalars(select(Subscription).where(Subscription.razorpay_id == name).with_for_update()).one()
        before = {one: getattr(found, one) for one in kept}
        for one, value in kept.items():
            setattr(found, one, value)
        audit.write(
            session, Event.SUBSCRIPTION_CHANGED, f"subscription {found.id}", by=by, razorpay=name,
            before={**before, "state": found.state}, after={**kept, "state": answer.get("status")},
        )  # fmt: skip
    events.tell(Source.ANSWER, "subscription.answered", subscription=answer)
    with reading() as session:
        return _own(session, _last(session, user_id))


def _give_up(name: str) -> None:
    """One whose checkout was left: a tab that is still open somewhere must not begin a second one."""
    with suppress(gateway.Refused, Unavailable):  # a comparison reports it, should it ever be paid
        wanted = {"cancel_at_cycle_end": 0}
        answer = gateway.ask(lambda razorpay: razorpay.subscription.cancel(name, wanted, timeout=gateway.PATIENCE))
        events.tell(Source.ANSWER, "subscription.answered", subscription=answer)


def _is_signed(name: str, payment: str, signature: str) -> bool:
    secret = gateway.require_ready().razorpay_key_secret
    return secret is not None and signatures.fits(secret, signatures.of_subscription(name, payment), signature)


def _current(session: Session, user_id: int) -> Subscription | None:
    running = Subscription.state.in_(RUNNING)
    mine = select(Subscription).where(Subscription.user_id == user_id)
    return session.scalar(mine.order_by(running.desc(), Subscription.id.desc()).limit(1))


def _last(session: Session, user_id: int) -> Subscription:
    found = _current(session, user_id)
    if found is None:
        raise NotFound("You have no subscription.")
    return found


def _running(session: Session, user_id: int, states: tuple[SubscriptionState, ...], done: str) -> Subscription:
    found = _current(session, user_id)
    if found is None or found.state not in RUNNING:
        raise NotFound("You have no subscription that runs.")
    if found.state not in states:
        wanted = " or ".join(states)
        raise Conflict(f"Your subscription is {found.state}: it can be {done} while it is {wanted}.")
    return found


def _own(session: Session, one: Subscription) -> Own:
    after = session.get_one(Offer, one.next_offer_id) if one.next_offer_id else None
    return Own(
        one.id, one.razorpay_id, SubscriptionState(one.state), offers.sold(session.get_one(Offer, one.offer_id)),
        offers.sold(after) if after else None, one.cancels_at_end, one.paid_count, one.current_start,
        one.current_end, one.charge_at, one.ended_at, one.created_at,
    )  # fmt: skip


def _checkout(session: Session, one: Subscription) -> Checkout:
    offer, user = session.get_one(Offer, one.offer_id), session.get_one(User, one.user_id)
    key_id = gateway.require_ready().razorpay_key_id
    assert key_id is not None
    return Checkout(
        one.id, key_id, one.razorpay_id, offer.price, CURRENCY, offer.credits, offer.title, user.name, user.email
    )  # fmt: skip
