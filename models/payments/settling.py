"""The credits of a payment, as its state has them: given once it is captured and known to be somebody's, taken back
with its refunds.

A refund takes back its share of the payment's credits, rounded down, all refunds of the payment together, and at most
what is left of the credits that last. What was spent before stays spent: nobody's balance falls below zero, and nobody
is asked for it later; but what an export under way holds, and gives back later, is taken then (`held_credits`). A
refund that fails in the end gives back what it took.
"""

from sqlalchemy import select
from sqlalchemy.orm import Session

from models import audit, credit_ledger
from models.accounts import User
from models.audit import Event
from models.credit_ledger import Account, Kind
from models.payments import held_credits
from models.payments.held_credits import share
from models.payments.states import CAPTURED, CURRENCY, PaymentState, RefundState
from models.payments.tables import Offer, Order, Payment, Refund
from models.permissions import RAZORPAY, Actor

COUNTING = (RefundState.PENDING, RefundState.PROCESSED)


def settle(session: Session, payment: Payment) -> None:
    """Post what is due of the payment's credits; a second time nothing is. The caller holds the payment's lock."""
    if payment.user_id is None or PaymentState(payment.state) not in CAPTURED:
        return
    session.flush()
    wanted = bought(session, payment) if payment.credits is None else None
    if wanted is None and payment.credits is None:
        return  # its refunds count once it is known what it paid for
    waiting = [one for one in _refunds(session, payment) if one.counted != (one.state in COUNTING)]
    if wanted is None and not waiting:
        return
    user = session.get_one(User, payment.user_id)
    account = credit_ledger.opened(session, user.id, by=RAZORPAY)
    if wanted is not None:
        _give(session, payment, account, user, *wanted)
    for refund in waiting:
        _count(session, payment, refund, account)


def bought(session: Session, payment: Payment) -> tuple[int, str] | None:
    """How many credits the payment is for, and what that is called; None where it does not pay for anything."""
    if payment.currency != CURRENCY:
        return None
    if payment.order_id is not None:
        order = session.get_one(Order, payment.order_id)
        offer = session.get_one(Offer, order.offer_id)
        return (order.credits, offer.title) if payment.amount >= order.amount else None
    if payment.charge and payment.offer_id is not None:
        offer = session.get_one(Offer, payment.offer_id)
        return offer.credits, f"{offer.title}, a month"
    return None


def _refunds(session: Session, payment: Payment) -> list[Refund]:
    of_payment = select(Refund).where(Refund.payment_id == payment.id).order_by(Refund.refunded_at, Refund.id)
    return list(session.scalars(of_payment))


def _give(session: Session, payment: Payment, account: Account, user: User, amount: int, title: str) -> None:
    before = account.lasting
    payment.credits = amount
    note = f"{title}, payment {payment.id}"
    credit_ledger.add(session, account, amount, Kind.PURCHASE, note=note, by=user.actor(), payment_id=payment.id)
    _tell(session, Event.CREDITS_BOUGHT, payment, account, before, amount)


def _count(session: Session, payment: Payment, refund: Refund, account: Account) -> None:
    """Take back what the refunds that count make out more than before, or give back what they make out less."""
    refund.counted = refund.state in COUNTING
    payment.refunded += refund.amount if refund.counted else -refund.amount
    due = share(payment, payment.refunded) - payment.credits_back - payment.credits_spent
    before = account.lasting
    if due > 0:
        taken = min(due, account.lasting)
        payment.credits_spent += due - taken
    else:
        unspent = min(-due, payment.credits_spent)
        payment.credits_spent -= unspent
        taken = due + unspent
    payment.credits_back += taken
    refund.credits += taken
    kind, event = (
        (Kind.TAKEN_BACK, Event.CREDITS_TAKEN_BACK) if refund.counted else (Kind.PURCHASE, Event.CREDITS_GRANTED)
    )
    note = f"{'refund' if refund.counted else 'failed refund'} of payment {payment.id}"
    # Also where nothing is left to take: by this entry `held_credits` knows what exports held at that moment.
    is_late = due > taken and held_credits.any_under_way(session, account.user_id)
    credit_ledger.add(
        session, account, -taken, kind, note=note, by=_asker(session, refund), payment_id=payment.id,
        refund_id=refund.id, even_none=is_late,
    )  # fmt: skip
    _tell(session, event, payment, account, before, abs(taken), refund=refund.id)


def _asker(session: Session, refund: Refund) -> Actor:
    user = None if refund.asked_by is None else session.get(User, refund.asked_by)
    return RAZORPAY if user is None else user.actor()


def _tell(
    session: Session,
    event: Event,
    payment: Payment,
    account: Account,
    before: int,
    amount: int,
    *,
    refund: int | None = None,
) -> None:
    audit.write(
        session, event, f"user {account.email}", by=RAZORPAY, amount=amount, payment=payment.id, refund=refund,
        before={"credits": before}, after={"credits": account.lasting},
    )  # fmt: skip
