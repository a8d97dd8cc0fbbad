"""Giving money back, all of a payment or a part, with the credits that it brought as far as they are left.

The wish is noted first, with a key by which Razorpay carries it out once, however often it is asked; a process that
dies in between leaves it to the next sweep, which asks again with the same key.
"""

import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models import accounts, audit, credit_ledger
from models.audit import Event
from models.database import LARGEST_ID, reading, writing
from models.errors import Conflict, InvalidInput, NotFound, Unavailable
from models.payments import events, gateway, held_credits, listing
from models.payments.states import CAPTURED, PaymentState, RefundState, Source
from models.payments.tables import Payment, Refund
from models.permissions import RAZORPAY, Actor, Permission, require

HEADER = "X-Refund-Idempotency"
LEAST = 100  # paise
LONGEST_REASON = 200
RESTING = timedelta(minutes=2)  # longer than a request for a refund may take with all of its tries
GIVE_UP = 3  # refunds in a row that get no answer


@dataclass(frozen=True)
class Proposal:
    """What a refund of `amount` paise would do. `refundable` is the most. It takes `credits` back; `spent` more are not
    left, and stay spent, but for those that exports under way hold, and give back later."""

    amount: int
    refundable: int
    credits: int
    spent: int


def proposal(payment_id: int, amount: int | None = None, *, by: Actor) -> Proposal:
    """Without an `amount` all that is left. Raises NotAllowed, NotFound, Conflict (nothing to give back),
    InvalidInput (the amount)."""
    require(by, Permission.PAYMENTS_MANAGE)
    with reading() as session:
        payment = _found(session, payment_id)
        refundable = _refundable(session, payment)
        wanted = _checked(amount, refundable)
        due = held_credits.share(payment, payment.refunded + wanted) - payment.credits_back - payment.credits_spent
        left = 0
        if payment.user_id is not None:
            month = credit_ledger.this_month(session)
            left = credit_ledger.read(session, payment.user_id, month).lasting
        taken = min(due, left)
        return Proposal(wanted, refundable, taken, due - taken)


def refund(payment_id: int, amount: int | None = None, reason: str | None = None, *, by: Actor) -> listing.RefundLine:
    """Give so many paise back, or all that is left. Where Razorpay does not answer, it is asked again each minute.

    Raises NotAllowed, NotFound, Conflict (nothing to give back), InvalidInput (the amount), Unavailable (not set up),
    Refused (by Razorpay; nothing is given back).
    """
    require(by, Permission.PAYMENTS_MANAGE)
    said = _reason(reason)
    with writing(by) as session:
        accounts.require_still(session, by, Permission.PAYMENTS_MANAGE)
        payment = _found(session, payment_id, locked=True)
        gateway.require_ready()
        wanted = _checked(amount, _refundable(session, payment))
        made = Refund(
            payment_id=payment.id, key=f"a360-{secrets.token_hex(12)}", state=RefundState.ASKED, amount=wanted,
            reason=said, asked_by=by.doer_id, refunded_at=func.clock_timestamp(),
        )  # fmt: skip
        session.add(made)
        session.flush()
        audit.write(
            session, Event.REFUND_ASKED, f"payment {payment.id}", by=by, refund=made.id, amount=wanted, reason=said
        )  # fmt: skip
        number = made.id
    with suppress(Unavailable):  # the sweep goes on asking
        send(number)
    return listing.refund_line(number)


def send(refund_id: int) -> None:
    """Ask Razorpay for a refund that was noted, once more perhaps. Raises Unavailable, Refused (noted as failed)."""
    with reading() as session:
        asked = session.get_one(Refund, refund_id)
        payment = session.get_one(Payment, asked.payment_id).razorpay_id
        if asked.state != RefundState.ASKED or asked.key is None:
            return
        key, wanted = asked.key, {"amount": asked.amount, "receipt": asked.key, "notes": {"reason": asked.reason or ""}}
    how = {"headers": {HEADER: key}, "timeout": gateway.PATIENCE}
    try:
        answer = gateway.ask(lambda razorpay: razorpay.payment.refund(payment, wanted, **how))
    except gateway.Refused as refused:
        # It may refuse since an earlier try of the same refund is on its way, or was carried out.
        found = _of_payment(payment, refused)
        answer = next((one for one in found["items"] if one.get("receipt") == key), None)
        if answer is None:
            _fail(refund_id, refused.said)
            raise
    events.tell(Source.ANSWER, "refund.answered", refund=answer)


def send_waiting() -> int:
    """Ask again for the refunds that were not answered; returns how many were now. Raises Unavailable where none is.

    Not for those whose first request may still be on its way. One that Razorpay does not answer keeps no other waiting:
    they are asked for in any order, until several of them in a row get no answer.
    """
    late = Refund.refunded_at < func.clock_timestamp() - RESTING
    asked = select(Refund.id).where(Refund.state == RefundState.ASKED, late).order_by(func.random())
    with reading() as session:
        waiting = list(session.scalars(asked))
    if not gateway.ready():
        return 0
    sent = unanswered = 0
    for number in waiting:
        try:
            send(number)
            sent, unanswered = sent + 1, 0
        except gateway.Refused:
            unanswered = 0  # noted with its reason
        except Unavailable:
            unanswered += 1
            if unanswered == GIVE_UP:
                raise
    return sent


def _of_payment(payment: str, refused: gateway.Refused) -> Any:
    """The refunds of a payment, newest first, where Razorpay refused one. Raises Unavailable where it does not say."""
    how = {"timeout": gateway.PATIENCE}
    try:
        return gateway.ask(
            lambda razorpay: razorpay.payment.fetch_multiple_refund(payment, {"count": gateway.PAGE}, **how)
        )
    except gateway.Refused as again:
        said = f"Razorpay refused it ({refused.said}), and does not say whether it carried it out before."
        raise Unavailable(said) from again


def _fail(refund_id: int, said: str) -> None:
    with writing(RAZORPAY) as session:
        stored = session.get_one(Refund, refund_id, with_for_update=True)
        if stored.state != RefundState.ASKED:
            return
        # Without its key: should Razorpay tell of it after all, that is another refund.
        stored.state, stored.error, stored.key = RefundState.FAILED, said, None
        audit.write(
            session, Event.REFUND_CHANGED, f"refund {stored.id}", by=RAZORPAY, error=said,
            before={"state": RefundState.ASKED}, after={"state": RefundState.FAILED},
        )  # fmt: skip


def _refundable(session: Session, payment: Payment) -> int:
    """What neither was given back nor is on its way. Raises Conflict where that is nothing."""
    if PaymentState(payment.state) not in CAPTURED:
        raise Conflict(f"The payment {payment.id} is {payment.state}: only what was captured can be given back.")
    of_payment = select(func.coalesce(func.sum(Refund.amount), 0)).where(Refund.payment_id == payment.id)
    asked = session.scalar(of_payment.where(Refund.state != RefundState.FAILED)) or 0
    waiting = session.scalar(of_payment.where(Refund.state == RefundState.ASKED)) or 0
    failed = session.scalar(
        select(func.count()).where(
            Refund.payment_id == payment.id, Refund.state == RefundState.FAILED, Refund.razorpay_id.is_not(None)
        )
    )
    # What Razorpay told of the whole payment grows only: a refund that it made and then took back stands in it.
    told = 0 if failed else payment.amount_refunded + int(waiting)
    left = payment.amount - max(int(asked), told)
    if left <= 0:
        raise Conflict(f"The payment {payment.id} was given back already.")
    return left


def _checked(amount: int | None, refundable: int) -> int:
    if amount is None:
        return refundable
    if not min(LEAST, refundable) <= amount <= refundable:
        raise InvalidInput(f"amount: give paise, from {min(LEAST, refundable):,} to {refundable:,}.", field="amount")
    return amount


def _reason(reason: str | None) -> str | None:
    said = " ".join((reason or "").split()) or None
    if said is not None and (len(said) > LONGEST_REASON or not said.isprintable()):
        raise InvalidInput(f"reason: give at most {LONGEST_REASON} characters.", field="reason")
    return said


def _found(session: Session, payment_id: int, *, locked: bool = False) -> Payment:
    fits = 0 < payment_id <= LARGEST_ID
    payment = session.get(Payment, payment_id, with_for_update=locked) if fits else None
    if payment is None:
        raise NotFound(f"There is no payment {payment_id}.")
    return payment
