"""The comparison with Razorpay: what the webhook never told is mended, the rest is reported, and twice is once."""

import time
from collections.abc import Iterator

import pytest
from sqlalchemy import select, text

from models import credits, flow_runs, flow_schedules, users
from models.audit import AuditLine, Event
from models.database import reading, writing
from models.errors import Unavailable
from models.payments import listing, orders, reconciliations, subscriptions
from models.payments.listing import Wanted
from models.payments.reconciliations import Numbers
from models.payments.states import PaymentState, SubscriptionState
from models.payments.tables import Reconciliation
from models.permissions import OPERATOR, Actor, Role
from models.settings import settings
from pipelines import flows, reconcile_payments, schedule, sweep
from tests import razorpay as standin
from tests.people import person
from tests.razorpay import Razorpay


@pytest.fixture
def razorpay(db: str) -> Iterator[Razorpay]:
    with standin.serving() as made, standin.used(made):
        yield made


@pytest.fixture
def ann(db: str) -> Actor:
    return person(email="ann@example.com", name="Ann", role=Role.ANALYST).actor()


def compared(days: int = 3) -> Numbers:
    numbers = reconcile_payments.run(reconciliations.ask(days, by=OPERATOR))
    assert numbers is not None
    return numbers


def missed(razorpay: Razorpay, by: Actor) -> None:
    """Nothing of it was ever told: a paid order, a refund, a charge, a failed payment."""
    paid = razorpay.pay(orders.create("pack-100", by=by).razorpay_id)
    razorpay.give_back(paid["id"], 10_000, status="processed")
    razorpay.pay(orders.create("pack-500", by=by).razorpay_id, "failed")
    razorpay.charge(subscriptions.start("basic", by=by).razorpay_id)


def test_what_was_missed_is_mended_once(razorpay: Razorpay, ann: Actor) -> None:
    missed(razorpay, ann)
    assert credits.balance(by=ann).lasting == 0
    assert compared() == Numbers(compared=6, mended=6)  # 3 payments, a refund, a subscription, its invoice
    assert credits.balance(by=ann).lasting == 100 - 33 + 500
    own = subscriptions.current(by=ann)
    assert own is not None
    assert (own.state, own.paid_count) == (SubscriptionState.ACTIVE, 1)
    found, _ = listing.page(Wanted(), by=OPERATOR)
    assert sorted(one.state for one in found) == [PaymentState.CAPTURED, PaymentState.CAPTURED, PaymentState.FAILED]
    assert compared() == Numbers(compared=6, mended=0)
    assert credits.balance(by=ann).lasting == 100 - 33 + 500
    assert reconciliations.findings(by=OPERATOR) == []
    last = reconciliations.latest(by=OPERATOR)
    assert last is not None
    assert (last.state, last.compared, last.mended, last.found, last.asked_by) == ("done", 6, 0, 0, "operator")


def test_a_state_that_was_missed_comes_from_razorpay(razorpay: Razorpay, ann: Actor) -> None:
    missed(razorpay, ann)
    compared()
    [of] = razorpay.things["subscription"].values()
    of.update(status="cancelled", ended_at=int(time.time()))
    assert compared().mended == 1
    own = subscriptions.current(by=ann)
    assert own is not None
    assert own.state == SubscriptionState.CANCELLED
    [paid, _, _] = razorpay.things["payment"].values()
    paid.update(status="authorized", captured=False)  # an answer that is older than what is known
    assert compared().mended == 0


def test_what_cannot_be_mended_is_reported(razorpay: Razorpay, ann: Actor) -> None:
    stranger = razorpay.make("payment", amount=5_000, status="captured", order_id="order_elsewhere", currency="INR")
    held = razorpay.pay(orders.create("pack-100", by=ann).razorpay_id, "authorized")
    held["created_at"] -= 2 * 24 * 3600
    gone = razorpay.pay(orders.create("pack-100", by=ann).razorpay_id)
    gone["created_at"] -= 3600
    compared()
    del razorpay.things["payment"][gone["id"]]
    compared()
    first = reconciliations.findings(by=OPERATOR)
    assert {one.subject: one.kind for one in first} == {
        stranger["id"]: "without credits", held["id"]: "not captured", gone["id"]: "unknown to Razorpay",
    }  # fmt: skip
    [told] = [one.sentence for one in first if one.subject == stranger["id"]]
    assert told == (
        f"The payment {stranger['id']} of INR 50.00 was captured, but brought no credits: it belongs to no order or "
        "subscription of ours."
    )
    with reading() as session:
        line = session.scalars(
            select(AuditLine).where(AuditLine.event == Event.PAYMENTS_COMPARED).order_by(AuditLine.id.desc())
        ).first()
    assert line is not None
    assert line.details is not None
    assert (line.details["left"], told in line.details["findings"]) == (3, True)
    held.update(status="captured", captured=True)
    razorpay.things["payment"][gone["id"]] = gone
    assert compared().mended == 1
    [left] = reconciliations.findings(by=OPERATOR)
    assert (left.subject, left.first_at) == (
        stranger["id"],
        next(one for one in first if "INR 50" in one.sentence).first_at,
    )


def test_subscriptions_that_nobody_may_want_are_reported(razorpay: Razorpay, ann: Actor) -> None:
    bob = person(email="bob@example.com", name="Bob", role=Role.ANALYST).actor()
    names = [subscriptions.start("basic", by=by).razorpay_id for by in (ann, bob)]
    with writing(OPERATOR) as session:  # as if Ann had paid in two tabs
        session.execute(text("UPDATE payment_subscriptions SET state = 'active' WHERE user_id = :ann"), {"ann": ann.id})
        session.execute(
            text(
                """INSERT INTO payment_subscriptions (user_id, offer_id, razorpay_id, state, told_at)
                SELECT user_id, offer_id, 'sub_second', 'active', told_at FROM payment_subscriptions
                WHERE razorpay_id = :name"""
            ),
            {"name": names[0]},
        )
    for name in names:
        razorpay.charge(name)
    users.deactivate("bob@example.com", by=OPERATOR)
    compared()
    assert {(one.subject, one.kind) for one in reconciliations.findings(by=OPERATOR)} == {
        (names[0], "second subscription"), ("sub_second", "second subscription"), (names[1], "closed account"),
        ("sub_second", "unknown to Razorpay"),
    }  # fmt: skip


def test_many_payments_come_page_by_page(razorpay: Razorpay, ann: Actor) -> None:
    for _ in range(120):
        razorpay.make("payment", amount=100, status="failed", currency="INR", order_id=None)
    assert compared() == Numbers(compared=120, mended=120)
    assert compared() == Numbers(compared=120, mended=0)


def test_a_refund_of_an_older_payment_brings_that_along(razorpay: Razorpay, ann: Actor) -> None:
    paid = razorpay.pay(orders.create("pack-100", by=ann).razorpay_id)
    paid["created_at"] -= 40 * 24 * 3600
    razorpay.give_back(paid["id"], 29_900, status="processed")
    assert compared().mended == 1
    assert credits.balance(by=ann).lasting == 0
    [found] = listing.mine(by=ann)[0]
    assert (found.state, found.credits, found.credits_back) == (PaymentState.REFUNDED, 100, 100)


def test_the_flow_does_what_the_command_does(razorpay: Razorpay, ann: Actor) -> None:
    missed(razorpay, ann)
    for _ in range(2):  # the second finds nothing to mend
        flows.reconcile_payments.fn(reconciliations.ask(by=OPERATOR))
    assert credits.balance(by=ann).lasting == 567
    last = reconciliations.latest(by=OPERATOR)
    assert last is not None
    assert (last.state, last.mended) == ("done", 0)


def test_who_asked_is_told_and_what_was_due_was_asked_by_nobody(razorpay: Razorpay, ann: Actor) -> None:
    reconciliations.note_due()
    due = reconciliations.latest(by=OPERATOR)
    assert due is not None
    assert due.asked_by is None
    assert reconciliations.ask(by=OPERATOR) == due.id, "it is under way already, and was still due"
    again = reconciliations.latest(by=OPERATOR)
    assert again is not None
    assert again.asked_by is None


def test_while_razorpay_is_down_it_fails_and_is_due_again(razorpay: Razorpay, ann: Actor) -> None:
    razorpay.silent = True
    number = reconciliations.ask(by=OPERATOR)
    assert reconciliations.ask(by=OPERATOR) == number  # one at a time
    with pytest.raises(Unavailable):
        reconcile_payments.run(number)
    last = reconciliations.latest(by=OPERATOR)
    assert last is not None
    assert (last.state, last.error) == ("failed", "Razorpay does not answer just now. Try again in a minute.")
    assert reconcile_payments.run(number) is None


def test_the_sweep_goes_on_after_a_death(razorpay: Razorpay, ann: Actor) -> None:
    missed(razorpay, ann)
    reconciliations.note_due()
    with writing(OPERATOR) as session:  # as if it had been noted a while ago, and its process had died
        session.execute(
            text("UPDATE payment_reconciliations SET asked_at = now() - interval '1 hour', state = 'running'")
        )
    sweep.look_after_payments()
    sweep.look_after_payments()
    with reading() as session:
        found = list(session.execute(select(Reconciliation.state, Reconciliation.mended)))
    assert [tuple(one) for one in found] == [("done", 6)]
    assert credits.balance(by=ann).lasting == 567


def test_the_schedule_compares_and_tells_what_it_found(razorpay: Razorpay, ann: Actor) -> None:
    missed(razorpay, ann)
    flow_schedules.write(schedule.entries())
    for _ in range(2):  # two moments that were missed
        flows.reconcile_payments.fn(scheduled=True)
    [run] = flow_runs.page(flow="reconcile-payments", by=OPERATOR)
    counts = {"comparison": 1, "compared": 6, "mended": 6, "left": 0}
    assert (run.state, run.scheduled, run.counts) == ("done", True, counts)


def test_without_keys_nobody_is_asked(db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("APPOINTMENT360_RAZORPAY_KEY_ID", raising=False)
    settings.cache_clear()
    flow_schedules.write(schedule.entries())
    flows.reconcile_payments.fn(scheduled=True)
    sweep.look_after_payments()
    assert reconciliations.latest(by=OPERATOR) is None


def test_a_refund_that_failed_later_is_noticed(razorpay: Razorpay, ann: Actor) -> None:
    paid = razorpay.pay(orders.create("pack-100", by=ann).razorpay_id)
    made = razorpay.give_back(paid["id"], 29_900, status="processed")
    for one in (paid, made):
        one["created_at"] -= 8 * 24 * 3600
    compared(days=10)
    assert credits.balance(by=ann).lasting == 0
    made["status"] = "failed"  # and nobody tells
    assert compared().mended == 1
    assert compared().mended == 0
    assert credits.balance(by=ann).lasting == 100
    [found] = listing.mine(by=ann)[0]
    assert (found.refunded, found.credits_back, found.is_refundable) == (0, 0, True)
