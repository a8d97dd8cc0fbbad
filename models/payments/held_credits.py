"""Credits of refunded payments that an export held when its refund was counted, and gives back later.

What an export under way holds is not there to be taken back: for the refund it is spent. Should the export cost less in
the end, or nothing, the refund takes of what comes back what it would have found had the export never been asked for.
What was spent for good before the refund stays spent, and what was reserved after it stays untouched.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy import text as sql
from sqlalchemy.orm import Session

from models import audit, credit_ledger
from models.audit import Event
from models.credit_ledger import Account, CreditEntry, Kind
from models.payments.tables import Payment, Refund
from models.permissions import RAZORPAY


@dataclass(frozen=True)
class _Late:
    """A refund, and by how much it may still take from what the export gives back."""

    payment: Payment
    refund: Refund
    most: int


def lock(session: Session, user_id: int) -> None:
    """Take the person's payments, before their ledger: who applies an event locks them in this order too."""
    mine = select(Payment.id).where(Payment.user_id == user_id, Payment.credits.is_not(None)).order_by(Payment.id)
    session.execute(mine.with_for_update(key_share=True))


def any_under_way(session: Session, user_id: int) -> bool:
    """Whether an export that has not ended holds credits that last. The caller holds the person's ledger."""
    return bool(session.scalar(_ANY, {"user_id": user_id}))


def collect(session: Session, account: Account, returned: int, *, export_id: int) -> None:
    """Let refunds take what they missed of the `returned` credits, which the export has just given back to what lasts.

    The caller holds `lock` and the person's ledger.
    """
    for late in _late(session, account.user_id, export_id, returned) if returned else ():
        taken = min(late.most, returned, late.payment.credits_spent, account.lasting)
        if taken <= 0:
            continue
        returned, before = returned - taken, account.lasting
        late.payment.credits_back += taken
        late.payment.credits_spent -= taken
        late.refund.credits += taken
        note = f"refund of payment {late.payment.id}, once export {export_id} gave back"
        # Without the names of payment and refund: under these the ledger takes back once.
        credit_ledger.add(session, account, -taken, Kind.TAKEN_BACK, note=note, by=RAZORPAY)
        audit.write(
            session, Event.CREDITS_TAKEN_BACK, f"user {account.email}", by=RAZORPAY, amount=taken,
            payment=late.payment.id, refund=late.refund.id, export=export_id,
            before={"credits": before}, after={"credits": account.lasting},
        )  # fmt: skip


def _late(session: Session, user_id: int, export_id: int, returned: int) -> Iterator[_Late]:
    """The refunds that were counted while the export held credits, the first counted first."""
    wanted = (
        select(CreditEntry.id, Payment, Refund)
        .join(Payment, Payment.id == CreditEntry.payment_id)
        .join(Refund, Refund.id == CreditEntry.refund_id)
        .where(CreditEntry.user_id == user_id, CreditEntry.kind == Kind.TAKEN_BACK)
        .where(Payment.credits_spent > 0, Refund.counted)
        .order_by(CreditEntry.id)
        .execution_options(populate_existing=True)
    )
    for entry_id, payment, refund in session.execute(wanted).all():
        missed = _due(session, payment, refund) - refund.credits
        yield _Late(payment, refund, min(missed, _still_held(session, export_id, entry_id, returned)))


def _still_held(session: Session, export_id: int, entry_id: int, returned: int) -> int:
    """What the export held when the ledger's entry was written, less what it gave back since, `returned` aside."""
    lasting = CreditEntry.export_id == export_id, CreditEntry.month.is_(None)
    held = select(-func.coalesce(func.sum(CreditEntry.amount), 0)).where(*lasting, CreditEntry.id < entry_id)
    since = select(func.coalesce(func.sum(CreditEntry.amount), 0)).where(
        *lasting, CreditEntry.id > entry_id, CreditEntry.amount > 0
    )
    return int(session.scalar(held) or 0) - (int(session.scalar(since) or 0) - returned)


def _due(session: Session, payment: Payment, refund: Refund) -> int:
    """How many of the payment's credits the refund makes out, beside the others that count."""
    earlier = (Refund.refunded_at < refund.refunded_at) | (
        (Refund.refunded_at == refund.refunded_at) & (Refund.id < refund.id)
    )
    before = select(func.coalesce(func.sum(Refund.amount), 0)).where(Refund.payment_id == payment.id, Refund.counted)
    first = int(session.scalar(before.where(earlier)) or 0)
    return share(payment, first + refund.amount) - share(payment, first)


def share(payment: Payment, refunded: int) -> int:
    """How many of the payment's credits so much money is, rounded down."""
    return (payment.credits or 0) * min(refunded, payment.amount) // max(payment.amount, 1)


_ANY = sql(
    """SELECT EXISTS (
        SELECT FROM credit_entries e JOIN exports x ON x.id = e.export_id
        WHERE e.user_id = :user_id AND e.month IS NULL AND x.state IN ('waiting', 'running')
        GROUP BY e.export_id HAVING sum(e.amount) < 0)"""
)
