"""What a comparison with Razorpay cannot mend, as sentences for a person who looks after payments."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models.accounts import User
from models.payments.states import CAPTURED, CURRENCY, RUNNING, PaymentState
from models.payments.tables import Finding, Payment, Subscription

PATIENCE = timedelta(days=1)  # what is authorised is captured by itself, within minutes
Left = tuple[str, str, str]
"""Kind, Razorpay's name of what it is about, sentence."""


def found(session: Session) -> list[Left]:
    """As it stands now, without asking Razorpay."""
    return [*_without_credits(session), *_not_captured(session), *_running_on(session)]


def replace(session: Session, number: int, left: Sequence[Left]) -> None:
    """The findings are those of the last comparison; one that was there before keeps its moment."""
    for kind, subject, sentence in left:
        values = {"kind": kind, "subject": subject, "sentence": sentence, "reconciliation_id": number}
        made = insert(Finding).values(values)
        session.execute(made.on_conflict_do_update(index_elements=["kind", "subject"], set_=values))
    session.execute(delete(Finding).where(Finding.reconciliation_id != number))


def _without_credits(session: Session) -> Iterator[Left]:
    """Captured payments that brought no credits: nobody's, or with less money than was asked for."""
    captured = select(Payment).where(Payment.state.in_(CAPTURED), Payment.credits.is_(None)).order_by(Payment.id)
    for one in session.scalars(captured):
        if one.user_id is None:
            told = "belongs to no order or subscription of ours"
        elif one.currency != CURRENCY or one.order_id is not None:
            told = "is not what its order asks for"
        else:
            told = "is of a subscription, and not the price of a plan. Grant its credits by hand, or give it back"
        sentence = f"The payment {one.razorpay_id} of {_money(one)} was captured, but brought no credits: it {told}."
        yield "without credits", one.razorpay_id, sentence


def _not_captured(session: Session) -> Iterator[Left]:
    late = Payment.paid_at < func.clock_timestamp() - PATIENCE
    held = select(Payment).where(Payment.state == PaymentState.AUTHORIZED, late).order_by(Payment.id)
    for one in session.scalars(held):
        told = "was authorised, and not captured: capture it at Razorpay, or the money goes back by itself"
        yield "not captured", one.razorpay_id, f"The payment {one.razorpay_id} of {_money(one)} {told}."


def _running_on(session: Session) -> Iterator[Left]:
    """Subscriptions that are charged though nobody may want that: of closed accounts, and second ones."""
    others = func.count().over(partition_by=Subscription.user_id).label("number")
    running = select(Subscription.razorpay_id, User.email, User.is_active, others)
    running = running.join(User, User.id == Subscription.user_id).where(Subscription.state.in_(RUNNING))
    for one in session.execute(running.order_by(Subscription.id)):
        whose = f"The subscription {one.razorpay_id} of {one.email}"
        if not one.is_active:
            told = "goes on, though the account is closed: end it at Razorpay"
            yield "closed account", one.razorpay_id, f"{whose} {told}."
        elif one.number > 1:
            yield (
                "second subscription",
                one.razorpay_id,
                f"{whose} runs beside another one: end one of them at Razorpay.",
            )


def _money(payment: Payment) -> str:
    return f"{payment.currency} {payment.amount // 100:,}.{payment.amount % 100:02}"
