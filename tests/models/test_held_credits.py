"""Credits that an export holds while their payment is refunded: they are nobody's once the export gives them back."""

from collections.abc import Iterator

import pytest
from sqlalchemy import insert, select, text

from models import credits, exports
from models.contacts.table import Contact
from models.database import reading, writing
from models.filters import Filters
from models.payments import listing, refunds
from models.payments.states import RefundState
from models.permissions import OPERATOR, Actor, Role
from tests import razorpay as standin
from tests.dashboard.paying import bought, tell
from tests.people import person
from tests.razorpay import Razorpay


@pytest.fixture
def razorpay(db: str) -> Iterator[Razorpay]:
    with standin.serving() as made, standin.used(made):
        yield made


@pytest.fixture
def ann(db: str) -> Actor:
    with writing(OPERATOR) as session:
        session.execute(insert(Contact), [{"city": str(number)} for number in range(100)])
    made = person(email="ann@example.com", name="Ann", role=Role.ANALYST)
    with writing(OPERATOR) as session:
        session.execute(text("UPDATE users SET download_limit = 0 WHERE id = :id"), {"id": made.id})
    return made.actor()


def asked(by: Actor, first: int, last: int) -> int:
    with reading() as session:
        ids = list(session.scalars(select(Contact.id).order_by(Contact.id)))[first:last]
    return exports.request(filters=Filters(), columns=["city"], format="csv", ids=ids, by=by)


def lasting(by: Actor) -> int:
    return credits.balance(by=by).lasting


def spend(by: Actor, first: int, last: int) -> None:
    with reading() as session:
        ids = list(session.scalars(select(Contact.id).order_by(Contact.id)))[first:last]
    with writing(by) as session:
        credits.pay(session, select(Contact.id).where(Contact.id.in_(ids)), by=by)


def numbers(payment_id: int) -> tuple[int | None, int, int]:
    found, _ = listing.get(payment_id, by=OPERATOR)
    return found.credits, found.credits_back, found.credits_spent


def test_what_a_failed_export_gives_back_goes_on_to_the_refund(razorpay: Razorpay, ann: Actor) -> None:
    payment = bought(razorpay, ann, "pack-100")
    spend(ann, 0, 30)  # for good
    export_id = asked(ann, 30, 100)
    made = refunds.refund(payment.id, by=OPERATOR)
    assert (made.credits, lasting(ann), numbers(payment.id)) == (0, 0, (100, 0, 100))
    exports.fail(export_id, "The disk is full.", by=ann)
    assert (lasting(ann), numbers(payment.id), listing.refund_line(made.id).credits) == (0, (100, 70, 30), 70)
    paid = razorpay.things["payment"][payment.razorpay_id]
    [told] = razorpay.things["refund"].values()
    tell(razorpay.event("refund.failed", refund={**told, "status": "failed"}, payment=paid))
    assert (lasting(ann), numbers(payment.id)) == (70, (100, 0, 0))
    assert listing.refund_line(made.id).state == RefundState.FAILED


def test_what_was_reserved_after_the_refund_comes_back_whole(razorpay: Razorpay, ann: Actor) -> None:
    payment = bought(razorpay, ann, "pack-100")
    held = asked(ann, 0, 40)
    spend(ann, 40, 100)
    refunds.refund(payment.id, by=OPERATOR)
    bought(razorpay, ann, "pack-100")
    other = asked(ann, 0, 50)
    exports.cancel(other, by=ann)
    assert (lasting(ann), numbers(payment.id)) == (100, (100, 0, 100))
    exports.cancel(held, by=ann)
    assert (lasting(ann), numbers(payment.id)) == (100, (100, 40, 60))
    exports.fail(held, "Once more.", by=ann)
    assert lasting(ann) == 100


def test_of_a_part_that_was_refunded_only_its_credits_go_on(razorpay: Razorpay, ann: Actor) -> None:
    payment = bought(razorpay, ann, "pack-100")  # 299.00
    first, second = asked(ann, 0, 60), asked(ann, 60, 95)
    made = refunds.refund(payment.id, 14_950, by=OPERATOR)
    assert (made.credits, numbers(payment.id)) == (5, (100, 5, 45))
    exports.cancel(second, by=ann)
    assert (lasting(ann), numbers(payment.id)) == (0, (100, 40, 10))
    exports.cancel(first, by=ann)
    assert (lasting(ann), numbers(payment.id)) == (50, (100, 50, 0))
