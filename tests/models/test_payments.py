"""Buying, coming back from the checkout, subscribing, refunding: with the real client, at a Razorpay of the tests."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import select, text

from models import credits
from models.contacts.table import Contact
from models.credit_ledger import CreditEntry
from models.database import reading, writing
from models.errors import Conflict, InvalidInput, NotAllowed, NotFound, Unavailable
from models.payments import checkouts, events, gateway, listing, offers, orders, refunds, subscriptions
from models.payments.listing import Wanted
from models.payments.states import EventState, OfferKind, OrderState, PaymentState, RefundState, SubscriptionState
from models.permissions import OPERATOR, Actor, Role
from models.settings import settings
from tests import razorpay as standin
from tests.people import person
from tests.razorpay import KEY_SECRET, Razorpay, Signed, Thing, sign


@pytest.fixture
def razorpay(db: str) -> Iterator[Razorpay]:
    with standin.serving() as made, standin.used(made):
        yield made


@pytest.fixture
def ann(db: str) -> Actor:
    return person(email="ann@example.com", name="Ann", role=Role.ANALYST).actor()


@pytest.fixture
def max_(db: str) -> Actor:
    return person(email="max@example.com", name="Max", role=Role.ADMIN).actor()


def tell(signed: Signed) -> EventState | None:
    """What the webhook does with a request."""
    number = events.receive(signed.body, signature=signed.signature, event_id=signed.event_id)
    return None if number is None else events.apply(number)


def bought(razorpay: Razorpay, by: Actor, pack: str = "pack-500") -> listing.Listed:
    """A pack that was paid and returned from."""
    order = orders.create(pack, by=by)
    paid = razorpay.pay(order.razorpay_id)
    return orders.returned(order.order_id, payment=paid["id"], signature=returned(order.razorpay_id, paid), by=by)


def returned(order: str, paid: Thing) -> str:
    return sign(KEY_SECRET, f"{order}|{paid['id']}".encode())


def subscribed(razorpay: Razorpay, by: Actor, plan: str = "pro") -> subscriptions.Own:
    started = subscriptions.start(plan, by=by)
    paid = razorpay.charge(started.razorpay_id)
    signature = sign(KEY_SECRET, f"{paid['id']}|{started.razorpay_id}".encode())
    return subscriptions.returned(payment=paid["id"], signature=signature, by=by)


def lasting(by: Actor) -> int:
    return credits.balance(by=by).lasting


def ledger(by: Actor) -> list[tuple[str, int]]:
    lines = select(CreditEntry.kind, CreditEntry.amount).where(CreditEntry.payment_id.is_not(None))
    with reading() as session:
        return [(row.kind, row.amount) for row in session.execute(lines.order_by(CreditEntry.id))]


def test_a_pack_is_paid_and_its_credits_are_there_on_return(razorpay: Razorpay, ann: Actor) -> None:
    order = orders.create("pack-500", by=ann)
    assert (order.amount, order.currency, order.credits, order.email) == (119_900, "INR", 500, "ann@example.com")
    assert order.key_id == standin.KEY_ID
    assert orders.checkout(order.order_id, by=ann) == order
    paid = razorpay.pay(order.razorpay_id)
    found = orders.returned(order.order_id, payment=paid["id"], signature=returned(order.razorpay_id, paid), by=ann)
    assert (found.state, found.amount, found.credits, found.title) == (
        PaymentState.CAPTURED,
        119_900,
        500,
        "500 credits",
    )
    assert orders.checkout(order.order_id, by=ann).state == OrderState.PAID
    assert lasting(ann) == 500
    for kind in (
        "payment.authorized",
        "payment.captured",
        "order.paid",
    ):  # the webhook comes later, and changes nothing
        assert tell(razorpay.event(kind, payment=paid)) == EventState.APPLIED
    assert ledger(ann) == [("purchase", 500)]
    assert listing.mine(by=ann)[0] == [listing.named(paid["id"])]


def test_a_return_counts_only_with_the_signature_of_the_servers_own_order(razorpay: Razorpay, ann: Actor) -> None:
    order, other = orders.create("pack-500", by=ann), orders.create("pack-100", by=ann)
    paid = razorpay.pay(other.razorpay_id)
    for wrong in (
        returned(other.razorpay_id, paid),
        sign("guessed", f"{order.razorpay_id}|{paid['id']}".encode()),
        "é",
    ):
        with pytest.raises(InvalidInput, match="The signature does not fit"):
            orders.returned(order.order_id, payment=paid["id"], signature=wrong, by=ann)
    bob = person(email="bob@example.com", name="Bob", role=Role.ANALYST).actor()
    with pytest.raises(NotFound, match=r"no order \d+ of yours"):
        orders.returned(other.order_id, payment=paid["id"], signature=returned(other.razorpay_id, paid), by=bob)
    assert listing.mine(by=ann) == ([], None)
    assert lasting(ann) == 0


def test_no_second_checkout_while_the_first_may_be_paid(razorpay: Razorpay, ann: Actor) -> None:
    order = orders.create("pack-500", by=ann)
    assert checkouts.open_order(order.order_id, by=ann) == order
    razorpay.silent = True
    with pytest.raises(checkouts.NotKnown, match="it may be that this is paid already"):
        checkouts.open_order(order.order_id, by=ann)
    razorpay.silent = False
    failed = razorpay.pay(order.razorpay_id, "failed")
    assert checkouts.open_order(order.order_id, by=ann).state == OrderState.ATTEMPTED  # it can be paid again
    assert listing.named(failed["id"]).state == PaymentState.FAILED
    begun = razorpay.pay(order.razorpay_id, "created")
    with pytest.raises(checkouts.OnItsWay, match="Do not pay again"):
        checkouts.open_order(order.order_id, by=ann)
    with writing(OPERATOR) as session:
        moved = "UPDATE payments SET paid_at = paid_at - interval '11 minutes' WHERE razorpay_id = :name"
        session.execute(text(moved), {"name": begun["id"]})
    begun["created_at"] -= 11 * 60
    checkouts.open_order(order.order_id, by=ann)  # a window that was left
    begun["status"] = "authorized"
    with pytest.raises(checkouts.OnItsWay):
        checkouts.open_order(order.order_id, by=ann)
    begun.update(status="captured", captured=True, fee=100, tax=0)  # and its webhook is late
    assert checkouts.open_order(order.order_id, by=ann).state == OrderState.PAID
    assert lasting(ann) == 500
    with pytest.raises(NotFound, match=r"no order \d+ of yours"):
        checkouts.open_order(order.order_id, by=person(email="b@example.com", name="B", role=Role.ANALYST).actor())


def test_no_second_checkout_of_a_subscription(razorpay: Razorpay, ann: Actor) -> None:
    started = subscriptions.start("pro", by=ann)
    assert checkouts.open_subscription(by=ann) == started
    razorpay.silent = True
    with pytest.raises(checkouts.NotKnown):
        checkouts.open_subscription(by=ann)
    signature = sign(KEY_SECRET, f"pay_late|{started.razorpay_id}".encode())
    subscriptions.returned(payment="pay_late", signature=signature, by=ann)
    razorpay.silent = False
    with pytest.raises(checkouts.OnItsWay):
        checkouts.open_subscription(by=ann)
    razorpay.charge(started.razorpay_id)
    with pytest.raises(NotFound, match="no subscription that waits for its first payment"):
        checkouts.open_subscription(by=ann)
    found = subscriptions.current(by=ann)
    assert found
    assert found.state == SubscriptionState.ACTIVE


def test_while_razorpay_is_silent_a_return_is_noted_and_the_webhook_brings_the_credits(
    razorpay: Razorpay, ann: Actor
) -> None:
    order = orders.create("pack-100", by=ann)
    paid = razorpay.pay(order.razorpay_id)
    razorpay.silent = True
    found = orders.returned(order.order_id, payment=paid["id"], signature=returned(order.razorpay_id, paid), by=ann)
    assert (found.state, found.credits, lasting(ann)) == (PaymentState.CREATED, None, 0)
    assert tell(razorpay.event("payment.captured", payment=paid)) == EventState.APPLIED
    assert (listing.named(paid["id"]).state, lasting(ann)) == (PaymentState.CAPTURED, 100)


def test_only_what_was_captured_brings_credits(razorpay: Razorpay, ann: Actor) -> None:
    order = orders.create("pack-100", by=ann)
    failed = razorpay.pay(order.razorpay_id, "failed") | {"error_code": "", "error_description": "The bank declined it"}
    tell(razorpay.event("payment.failed", payment=failed))
    held = razorpay.pay(order.razorpay_id, "authorized")
    tell(razorpay.event("payment.authorized", payment=held))
    assert (lasting(ann), orders.checkout(order.order_id, by=ann).state) == (0, OrderState.ATTEMPTED)
    assert {one.state: one.error for one in listing.mine(by=ann)[0]} == {
        PaymentState.FAILED: "The bank declined it", PaymentState.AUTHORIZED: None,
    }  # fmt: skip
    assert listing.invoices(by=ann) == []
    tell(razorpay.event("payment.captured", payment=held | {"captured": "1"}))  # as some samples have it
    assert (lasting(ann), listing.named(held["id"]).state) == (100, PaymentState.CAPTURED)


def test_less_money_than_the_order_asks_for_brings_nothing(razorpay: Razorpay, ann: Actor) -> None:
    order = orders.create("pack-100", by=ann)
    paid = razorpay.pay(order.razorpay_id) | {"amount": 100}
    tell(razorpay.event("payment.captured", payment=paid))
    tell(razorpay.event("payment.captured", payment=razorpay.pay(order.razorpay_id) | {"currency": "USD"}))
    assert (lasting(ann), ledger(ann)) == (0, [])


def test_without_keys_nothing_is_bought_and_the_rest_works(
    db: str, ann: Actor, max_: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in standin.environment(""):
        monkeypatch.delenv(name, raising=False)
    settings.cache_clear()
    assert not gateway.ready()
    needed = "set APPOINTMENT360_RAZORPAY_KEY_ID and APPOINTMENT360_RAZORPAY_KEY_SECRET and APPOINTMENT360_RAZORPAY_WEB"
    for refused in (
        lambda: orders.create("pack-100", by=ann),
        lambda: subscriptions.start("pro", by=ann),
        lambda: events.receive(b"{}", signature="", event_id=None),
    ):
        with pytest.raises(Unavailable, match=needed):
            refused()
    assert [one.code for one in offers.listed(OfferKind.PLAN, by=ann)] == ["basic", "pro", "enterprise"]
    assert (listing.mine(by=ann), listing.page(Wanted(), by=max_)) == (([], None), ([], None))
    assert [one.revenue for one in listing.revenue(3, by=max_)] == [0, 0, 0]


def test_too_many_requests_are_asked_again_after_a_while(
    razorpay: Razorpay, ann: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "BACKOFF", 0.001)
    razorpay.refusing = [(429, {}), (429, {})]
    orders.create("pack-100", by=ann)
    assert [one.path for one in razorpay.asked] == ["/v1/orders"] * 3
    assert len(razorpay.things["order"]) == 1
    razorpay.refusing = [(429, {})] * 20
    with pytest.raises(Unavailable, match="Razorpay does not answer just now"):
        orders.create("pack-100", by=ann)
    assert len(razorpay.refusing) == 20 - 1 - gateway.TRIES


def test_what_razorpay_refuses_is_said_in_its_words(
    razorpay: Razorpay, ann: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APPOINTMENT360_RAZORPAY_KEY_SECRET", "another")
    settings.cache_clear()
    with pytest.raises(gateway.Refused, match="Razorpay refused it: Authentication failed"):
        orders.create("pack-100", by=ann)


def test_a_full_refund_takes_the_unspent_credits_back(razorpay: Razorpay, ann: Actor, max_: Actor) -> None:
    payment = bought(razorpay, ann)
    spend(ann, 180)
    would = refunds.proposal(payment.id, by=max_)
    assert (would.amount, would.refundable, would.credits, would.spent) == (119_900, 119_900, 420, 80)
    made = refunds.refund(payment.id, reason="bought twice", by=max_)
    assert (made.state, made.amount, made.credits, made.by) == (RefundState.PROCESSED, 119_900, 420, "Max")
    [asked] = [one for one in razorpay.asked if one.path.endswith("/refund")]
    assert len(asked.headers["x-refund-idempotency"]) >= 10
    assert asked.body["receipt"] == asked.headers["x-refund-idempotency"]
    assert lasting(ann) == 0
    paid = razorpay.things["payment"][payment.razorpay_id]
    [refund] = razorpay.things["refund"].values()
    for kind in ("refund.created", "refund.processed"):
        tell(razorpay.event(kind, refund=refund, payment=paid))
    found, [line] = listing.get(payment.id, by=max_)
    assert (found.state, found.refunded, found.credits_back, found.credits_spent) == ("refunded", 119_900, 420, 80)
    assert line == refunds.listing.refund_line(made.id)
    assert line.by == "Max"
    assert ledger(ann) == [("purchase", 500), ("taken back", -420)]
    with pytest.raises(Conflict, match="given back already"):
        refunds.refund(payment.id, by=max_)


def spend(by: Actor, number: int) -> None:
    """Take so many contacts out: the month's 100 credits pay first, then those that last."""
    made = text("INSERT INTO contacts (email) SELECT n || '@x.example' FROM generate_series(1, :n) n")
    with writing(OPERATOR) as session:
        session.execute(made, {"n": number})
        credits.pay(session, select(Contact.id), by=by)


def test_refunds_of_parts_take_their_share_and_no_more_than_was_paid(
    razorpay: Razorpay, ann: Actor, max_: Actor
) -> None:
    payment = bought(razorpay, ann, "pack-100")  # 299.00 for 100 credits
    taken = [refunds.refund(payment.id, amount, by=max_).credits for amount in (10_000, 10_000)]
    assert (taken, lasting(ann)) == ([33, 33], 34)
    with pytest.raises(InvalidInput, match="from 100 to 9,900"):
        refunds.refund(payment.id, 10_000, by=max_)
    last = refunds.refund(payment.id, by=OPERATOR)
    assert (last.amount, last.by) == (9_900, "operator")
    assert (lasting(ann), razorpay.things["payment"][payment.razorpay_id]["amount_refunded"]) == (0, 29_900)


def test_a_refund_that_nobody_answered_is_asked_again_and_made_once(
    razorpay: Razorpay, ann: Actor, max_: Actor
) -> None:
    payment = bought(razorpay, ann, "pack-100")
    razorpay.silent = True
    made = refunds.refund(payment.id, 10_000, by=max_)
    assert (made.state, made.razorpay_id, lasting(ann)) == (RefundState.ASKED, None, 100)
    with pytest.raises(InvalidInput, match="from 100 to 19,900"):  # what is on its way is not given back again
        refunds.refund(payment.id, 20_000, by=max_)
    razorpay.silent = False
    assert refunds.send_waiting() == 0  # the first request may still be on its way
    make_late(made.id)
    assert refunds.send_waiting() == 1
    assert refunds.send_waiting() == 0
    assert (listing.refund_line(made.id).state, lasting(ann)) == (RefundState.PROCESSED, 67)
    assert len(razorpay.things["refund"]) == 1
    keys = {one.headers["x-refund-idempotency"] for one in razorpay.asked if one.path.endswith("/refund")}
    assert len(keys) == 1


def make_late(refund_id: int) -> None:
    with writing(OPERATOR) as session:
        late = text("UPDATE payment_refunds SET refunded_at = refunded_at - interval '3 minutes' WHERE id = :id")
        session.execute(late, {"id": refund_id})


def test_a_refund_that_is_never_answered_keeps_no_other_waiting(
    razorpay: Razorpay, ann: Actor, max_: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    razorpay.silent = True
    asked = [refunds.refund(bought_silently(razorpay, ann).id, by=max_).id for _ in range(3)]
    razorpay.silent = False
    for number in asked:
        make_late(number)
    send = refunds.send

    def stubborn(number: int) -> None:
        if number == asked[0]:
            raise Unavailable("Razorpay does not answer just now.")
        send(number)

    monkeypatch.setattr(refunds, "send", stubborn)
    assert refunds.send_waiting() == 2
    assert [listing.refund_line(one).state for one in asked] == ["asked", "processed", "processed"]
    monkeypatch.setattr(refunds, "GIVE_UP", 1)
    with pytest.raises(Unavailable):
        refunds.send_waiting()


def bought_silently(razorpay: Razorpay, by: Actor) -> listing.Listed:
    razorpay.silent = False
    payment = bought(razorpay, by, "pack-100")
    razorpay.silent = True
    return payment


def test_a_refund_of_which_razorpay_says_nothing_waits(razorpay: Razorpay, ann: Actor, max_: Actor) -> None:
    payment = bought(razorpay, ann, "pack-100")
    razorpay.refusing = [(400, {}), (400, {})]  # the refund, and then the question what became of it
    made = refunds.refund(payment.id, by=max_)
    assert (made.state, lasting(ann)) == (RefundState.ASKED, 100)
    make_late(made.id)
    assert refunds.send_waiting() == 1
    assert (listing.refund_line(made.id).state, lasting(ann)) == (RefundState.PROCESSED, 0)


def test_what_several_people_refund_at_once_is_given_back_once(razorpay: Razorpay, ann: Actor, max_: Actor) -> None:
    payment, begin = bought(razorpay, ann, "pack-100"), Barrier(8)

    def refund(_: int) -> RefundState | None:
        begin.wait()
        try:
            return refunds.refund(payment.id, by=max_).state
        except Conflict:
            return None

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(refund, range(8)))
    assert sorted(found, key=str) == [None] * 7 + [RefundState.PROCESSED]
    assert len([one for one in razorpay.asked if one.path.endswith("/refund")]) == 1
    assert (len(razorpay.things["refund"]), lasting(ann)) == (1, 0)


def test_a_refund_that_razorpay_refuses_changes_nothing(razorpay: Razorpay, ann: Actor, max_: Actor) -> None:
    payment = bought(razorpay, ann, "pack-100")
    razorpay.things["payment"][payment.razorpay_id]["amount_refunded"] = 29_900  # given back there, untold
    with pytest.raises(gateway.Refused, match="greater than the refund payment amount"):
        refunds.refund(payment.id, 10_000, by=max_)
    _, [line] = listing.get(payment.id, by=max_)
    assert (line.state, line.credits, lasting(ann)) == (RefundState.FAILED, 0, 100)
    assert "greater than" in (line.error or "")


def test_a_refund_that_fails_in_the_end_gives_its_credits_back(razorpay: Razorpay, ann: Actor) -> None:
    payment = bought(razorpay, ann, "pack-100")
    paid = razorpay.things["payment"][payment.razorpay_id]
    made = razorpay.give_back(payment.razorpay_id, 10_000, status="pending")  # in Razorpay's dashboard
    tell(razorpay.event("refund.created", refund=made, payment=paid))
    assert lasting(ann) == 67
    failed = razorpay.event("refund.failed", refund={**made, "status": "failed"}, payment=paid)
    assert [tell(failed), tell(failed)] == [EventState.APPLIED, None]
    tell(razorpay.event("refund.created", refund=made, payment=paid))
    assert lasting(ann) == 100
    assert ledger(ann) == [("purchase", 100), ("taken back", -33), ("purchase", 33)]
    [shown], _ = listing.page(Wanted(), by=OPERATOR)
    assert shown.refunded == 0
    assert refunds.proposal(payment.id, by=OPERATOR).amount == 29_900  # all of it again


@pytest.mark.parametrize("first", ["invoice", "charge"])
def test_of_two_plans_with_one_price_the_charged_one_counts(razorpay: Razorpay, ann: Actor, first: str) -> None:
    own = subscribed(razorpay, ann, "basic")
    had = lasting(ann)
    offers.change("basic", credits=600, by=OPERATOR)
    subscriptions.change("basic", by=ann)
    of = razorpay.things["subscription"][own.razorpay_id]
    of.update(plan_id=of["next_plan"])
    paid = razorpay.charge(own.razorpay_id)
    invoice = razorpay.things["invoice"][paid["invoice_id"]]
    told = {
        "invoice": razorpay.event("invoice.paid", invoice=invoice, payment=paid),
        "charge": razorpay.event("subscription.charged", subscription=of, payment=paid),
    }
    for kind in sorted(told, key=lambda kind: kind != first):
        tell(told[kind])
    assert lasting(ann) == had + 600


def test_of_two_plans_with_one_price_a_comparison_finds_the_charged_one(razorpay: Razorpay, ann: Actor) -> None:
    own = subscribed(razorpay, ann, "basic")
    had = lasting(ann)
    offers.change("basic", credits=600, by=OPERATOR)
    subscribed(razorpay, person(email="bob@example.com", name="Bob", role=Role.ANALYST).actor(), "basic")
    paid = razorpay.charge(own.razorpay_id)
    tell(razorpay.event("invoice.paid", invoice=razorpay.things["invoice"][paid["invoice_id"]], payment=paid))
    assert lasting(ann) == had  # two plans have the price
    subscriptions.fetch(own.razorpay_id)
    assert lasting(ann) == had + 500  # the old terms: they were not changed


def test_what_is_told_while_an_answer_is_on_its_way_is_newer(
    razorpay: Razorpay, ann: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = subscribed(razorpay, ann)
    of = razorpay.things["subscription"][own.razorpay_id]
    of["paid_count"] += 1  # differs from what is stored
    answer = gateway.every

    def halted_meanwhile(*asked: str, **wanted: str) -> Iterator[Thing]:
        tell(razorpay.event("subscription.halted", at=int(time.time()) + 1, subscription={**of, "status": "halted"}))
        return answer(*asked, **wanted)

    monkeypatch.setattr(gateway, "every", halted_meanwhile)
    subscriptions.fetch(own.razorpay_id)
    own_now = subscriptions.current(by=ann)
    assert own_now is not None
    assert own_now.state == SubscriptionState.HALTED


def test_a_subscription_brings_its_credits_with_each_charge(razorpay: Razorpay, ann: Actor) -> None:
    assert subscriptions.current(by=ann) is None
    left = subscriptions.start("basic", by=ann)
    started = subscriptions.start("pro", by=ann)
    assert razorpay.things["subscription"][left.razorpay_id]["status"] == "cancelled"  # nobody can pay both
    assert subscriptions.start("pro", by=ann) == started  # the checkout was left, and is opened again
    assert subscriptions.checkout(by=ann) == started
    own = subscribed(razorpay, ann)
    assert (own.state, own.plan.code, own.paid_count, lasting(ann)) == (SubscriptionState.ACTIVE, "pro", 1, 2500)
    with pytest.raises(Conflict, match="You have a subscription already"):
        subscriptions.start("basic", by=ann)
    of = razorpay.things["subscription"][own.razorpay_id]
    second = razorpay.charge(own.razorpay_id)
    at = int(time.time()) + 1
    for _ in range(2):
        tell(razorpay.event("payment.captured", payment=second))
        tell(razorpay.event("subscription.charged", subscription=of, payment=second, at=at))
    assert (lasting(ann), ledger(ann)) == (5000, [("purchase", 2500)] * 2)
    assert len(razorpay.things["plan"]) == 2
    invoices = listing.invoices(by=ann)
    assert [(one.amount, one.credits, one.title) for one in invoices] == [(399_900, 2500, "Pro")] * 2
    assert invoices[1].url == f"{razorpay.url}/i/1"


def test_a_changed_plan_counts_from_the_next_charge_on(razorpay: Razorpay, ann: Actor) -> None:
    own = subscribed(razorpay, ann, "basic")
    with pytest.raises(Conflict, match="is Basic already"):
        subscriptions.change("basic", by=ann)
    changed = subscriptions.change("pro", by=ann)
    assert (changed.plan.code, changed.next_plan and changed.next_plan.code) == ("basic", "pro")
    assert subscriptions.change("basic", by=ann).next_plan is None
    subscriptions.change("pro", by=ann)
    of = razorpay.things["subscription"][own.razorpay_id]
    of["plan_id"] = of.pop("next_plan")
    paid = razorpay.charge(own.razorpay_id)
    tell(razorpay.event("subscription.charged", subscription=of, payment=paid, at=int(time.time()) + 1))
    now = subscriptions.current(by=ann)
    assert now is not None
    assert (now.plan.code, now.next_plan, lasting(ann)) == ("pro", None, 500 + 2500)


def test_a_subscription_is_paused_resumed_halted_and_cancelled_for_its_end(razorpay: Razorpay, ann: Actor) -> None:
    with pytest.raises(NotFound, match="no subscription that runs"):
        subscriptions.cancel(by=ann)
    own = subscribed(razorpay, ann)
    of = razorpay.things["subscription"][own.razorpay_id]
    assert subscriptions.pause(by=ann).state == SubscriptionState.PAUSED
    with pytest.raises(Conflict, match="Your subscription is paused: it can be changed while it is authenticated or"):
        subscriptions.change("basic", by=ann)
    assert subscriptions.resume(by=ann).state == SubscriptionState.ACTIVE
    at = int(time.time())
    states = {"pending": "pending", "halted": "halted", "activated": "active"}
    for later, (kind, status) in enumerate(states.items(), 1):
        tell(razorpay.event(f"subscription.{kind}", subscription={**of, "status": status}, at=at + later))
        assert subscriptions.current(by=ann).state == status  # type: ignore[union-attr]
    old = razorpay.event("subscription.halted", subscription={**of, "status": "halted"}, at=at)
    assert tell(old) == EventState.APPLIED  # it comes late
    assert subscriptions.current(by=ann).state == SubscriptionState.ACTIVE  # type: ignore[union-attr]
    cancelled = subscriptions.cancel(by=ann)
    assert (cancelled.state, cancelled.cancels_at_end) == (SubscriptionState.ACTIVE, True)
    with pytest.raises(Conflict, match="ends with its period"):
        subscriptions.change("basic", by=ann)
    tell(razorpay.event("subscription.cancelled", subscription={**of, "status": "cancelled"}, at=at + 9))
    tell(razorpay.event("subscription.activated", subscription={**of, "status": "active"}, at=at + 10))
    assert subscriptions.current(by=ann).state == SubscriptionState.CANCELLED  # type: ignore[union-attr]
    assert subscriptions.start("basic", by=ann).title == "Basic"
    assert lasting(ann) == 2500


def test_a_new_price_leaves_what_was_bought_before_as_it_was(razorpay: Razorpay, ann: Actor, max_: Actor) -> None:
    order, own = orders.create("pack-100", by=ann), subscribed(razorpay, ann, "basic")
    made = offers.change("pack-100", credits=120, price=30_000, by=max_)
    assert (made.credits, made.price, made.title) == (120, 30_000, "100 credits")
    offers.change("basic", credits=600, by=max_)
    assert [one.credits for one in offers.listed(by=ann) if one.code in ("basic", "pack-100")] == [600, 120]
    tell(razorpay.event("payment.captured", payment=razorpay.pay(order.razorpay_id)))
    of = razorpay.things["subscription"][own.razorpay_id]
    tell(razorpay.event("subscription.charged", subscription=of, payment=razorpay.charge(own.razorpay_id)))
    assert lasting(ann) == 100 + 500 + 500
    assert orders.create("pack-100", by=ann).amount == 30_000
    titled = offers.change("basic", title="Small", by=max_)
    assert (titled.title, len(offers.listed(by=ann))) == ("Small", 6)
    for wrong in ({"credits": 0}, {"price": 99}, {"title": " "}, {"razorpay_id": "sub_1"}):
        with pytest.raises(InvalidInput, match=next(iter(wrong))):
            offers.change("basic", **wrong, by=max_)  # type: ignore[arg-type]
    with pytest.raises(NotFound, match="There are: basic, pro, enterprise, pack-100, pack-500, pack-2000"):
        offers.change("gold", price=100, by=max_)


def test_a_plan_of_razorpays_has_to_cost_what_the_offer_does(razorpay: Razorpay, max_: Actor) -> None:
    def plan(amount: int = 129_900, currency: str = "INR", period: str = "monthly", interval: int = 1) -> str:
        item = {**razorpay.templates["plan"]["item"], "amount": amount, "currency": currency}
        name: str = razorpay.make("plan", item=item, period=period, interval=interval)["id"]
        return name

    before = offers.listed(by=max_)
    for name, said in (
        (plan(amount=129_800), "costs 129,800 paise: give that price with it, or a plan of 129,900 paise"),
        (plan(currency="USD"), "is in USD; give one in INR"),
        (plan(period="yearly"), "is charged yearly: give one that is charged each month"),
        (plan(interval=3), "is charged monthly, with an interval of 3"),
        ("plan_nowhere", "gives no plan plan_nowhere to the account that is set up here: The id provided does not"),
    ):
        with pytest.raises(InvalidInput, match=said) as refused:
            offers.change("basic", price=129_900, razorpay_id=name, by=max_)
        assert refused.value.field == "razorpay_id"
    good = plan()
    with pytest.raises(InvalidInput, match="costs 129,900 paise"):  # the price that stays is meant
        offers.change("basic", razorpay_id=good, by=max_)
    razorpay.silent = True
    with pytest.raises(Unavailable, match="does not answer"):
        offers.change("basic", price=129_900, razorpay_id=good, by=max_)
    razorpay.silent = False
    assert offers.listed(by=max_) == before
    made = offers.change("basic", price=129_900, razorpay_id=good, by=max_)
    assert (made.price, made.razorpay_id) == (129_900, good)
    asked = len(razorpay.asked)
    assert subscribed(razorpay, max_, "basic").plan == made
    assert [one.path for one in razorpay.asked[asked:] if "plans" in one.path] == []


def test_everybodys_payments_are_filtered_and_paged(razorpay: Razorpay, ann: Actor, max_: Actor) -> None:
    made = [bought(razorpay, ann, "pack-100").id for _ in range(3)]
    subscribed(razorpay, max_)
    tell(
        razorpay.event("payment.failed", payment=razorpay.pay(orders.create("pack-500", by=ann).razorpay_id, "failed"))
    )
    stranger = razorpay.make("payment", amount=5_000, status="captured", order_id="order_elsewhere")
    tell(razorpay.event("payment.captured", payment=stranger))
    whole, _ = listing.page(Wanted(), by=max_)
    assert len(whole) == 6
    pages, after = [], None
    while True:
        page, after = listing.page(Wanted(), after=after, size=2, by=max_)
        pages += page
        if after is None:
            break
    assert pages == whole
    numbers = {
        "who": listing.page(Wanted(who="ANN@example.com"), by=max_)[0],
        "state": listing.page(Wanted(PaymentState.FAILED), by=max_)[0],
        "plan": listing.page(Wanted(kind="plan"), by=max_)[0],
        "unknown": listing.page(Wanted(kind="unknown"), by=max_)[0],
        "until": listing.page(Wanted(until=datetime(2020, 1, 1, tzinfo=UTC).date()), by=max_)[0],
    }
    assert {name: len(found) for name, found in numbers.items()} == {
        "who": 4, "state": 1, "plan": 1, "unknown": 1, "until": 0,
    }  # fmt: skip
    assert [one.id for one in listing.page(Wanted(PaymentState.CAPTURED, "pack"), by=max_)[0]] == made[::-1]
    with pytest.raises(NotAllowed, match="see everybody's payments"):
        listing.page(Wanted(), by=ann)


def test_the_revenue_of_a_month_is_what_came_in_less_what_was_given_back(
    razorpay: Razorpay, ann: Actor, max_: Actor
) -> None:
    payment = bought(razorpay, ann)
    bought(razorpay, ann, "pack-100")
    refunds.refund(payment.id, 19_900, by=max_)
    stranger = razorpay.make("payment", amount=5_000, status="captured", order_id="order_elsewhere")
    tell(razorpay.event("payment.captured", payment=stranger))
    with writing(OPERATOR) as session:
        session.execute(text("UPDATE payments SET paid_at = paid_at - interval '1 month' WHERE amount = 29900"))
    before, now = listing.revenue(2, by=max_)
    assert (before.captured, before.refunded, before.revenue, before.payments) == (29_900, 0, 29_900, 1)
    assert (now.captured, now.refunded, now.revenue, now.payments) == (119_900, 19_900, 100_000, 1)
    assert [one.payments for one in listing.revenue(12, by=max_)] == [0] * 10 + [1, 1]


@pytest.mark.shared_data
def test_the_samples_have_what_was_recorded(shared_data: Path) -> None:
    """Whatever the samples answer the recorded ones have as well, but for what came to Razorpay since."""
    recorded = standin.answers(shared_data / "razorpay" / "sdk_python" / "tests" / "mocks")
    newer: dict[str, set[str]] = {"order": {"amount_paid", "amount_due"}, "invoice": {"subscription_id"}}
    for name, answer in standin.answers(standin.SAMPLES / "answers").items():
        assert set(answer) - set(recorded[name]) <= newer.get(name, set()), name


@pytest.mark.shared_data
def test_a_life_with_the_recorded_answers(db: str, ann: Actor, max_: Actor, shared_data: Path) -> None:
    folder = shared_data / "razorpay" / "sdk_python" / "tests" / "mocks"
    with standin.serving(folder) as made, standin.used(made):
        payment = bought(made, ann, "pack-100")
        subscribed(made, ann, "basic")
        assert lasting(ann) == 600
        assert refunds.refund(payment.id, by=max_).state == RefundState.PROCESSED
        assert subscriptions.cancel(by=ann).cancels_at_end
        assert lasting(ann) == 500


def test_a_charge_of_another_amount_than_a_plans_price_brings_nothing(razorpay: Razorpay, ann: Actor) -> None:
    own = subscribed(razorpay, ann, "basic")
    of, had = razorpay.things["subscription"][own.razorpay_id], lasting(ann)
    for amount in (0, 10_000, 150_000):
        paid = razorpay.charge(own.razorpay_id)
        paid["amount"] = razorpay.things["invoice"][paid["invoice_id"]]["amount"] = amount
        tell(razorpay.event("subscription.charged", subscription=of, payment=paid))
        subscriptions.fetch(own.razorpay_id)
        assert (lasting(ann), listing.named(paid["id"]).credits) == (had, None), amount
    before = events.numbers(by=OPERATOR)
    subscriptions.fetch(own.razorpay_id)
    assert events.numbers(by=OPERATOR) == before  # it is not told of again and again
    tell(razorpay.event("subscription.charged", subscription=of, payment=razorpay.charge(own.razorpay_id)))
    assert lasting(ann) == had + 500
