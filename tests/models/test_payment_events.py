"""What Razorpay tells, in every order that the network may make of it: the same final state, to the paisa."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy import func, select, text

from deploy.embedded_postgres import Server
from models import credits, database
from models.accounts import User
from models.audit import AuditLine, Event
from models.credit_ledger import CreditEntry
from models.database import libpq_url, reading, writing
from models.errors import InvalidInput
from models.payments import applying, entities, events, listing, offers
from models.payments.states import EventState, OrderState, SubscriptionState
from models.payments.tables import Offer, Order, Payment, PaymentEvent, Refund, Subscription
from models.permissions import OPERATOR, RAZORPAY, Actor, Role
from models.settings import settings
from tests import razorpay as standin
from tests.razorpay import SAMPLES, Razorpay, Signed, Thing, signed
from tests.waiting import free_port

ROOT = Path(__file__).parents[2]
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
KINDS = (
    "payment.authorized", "payment.captured", "order.paid", "payment.failed", "refund.created", "refund.processed",
    "subscription.authenticated", "subscription.activated", "subscription.charged", "subscription.halted",
    "subscription.cancelled",
)  # fmt: skip
PACKS = ("pack-100", "pack-500", "pack-2000")
PLANS = ("basic", "pro", "enterprise")


@dataclass(frozen=True)
class Recorded:
    """The recorded events, in the order in which things happened, and the names in them."""

    told: dict[str, Thing]

    @property
    def orders(self) -> dict[str, int]:
        """Razorpay's names -> paise: those that are paid for with packs."""
        payments = [one["payload"]["payment"]["entity"] for one in self.told.values() if "payment" in one["payload"]]
        return {one["order_id"]: one["amount"] for one in payments if one["invoice_id"] is None}

    @property
    def subscriptions(self) -> dict[str, str]:
        """Razorpay's names -> those of their plans, the charged one first."""
        found = [self.told[kind]["payload"]["subscription"]["entity"] for kind in KINDS if "subscription" in kind]
        charged = self.told["subscription.charged"]["payload"]["subscription"]["entity"]
        return {one["id"]: one["plan_id"] for one in [charged, *found]}

    @property
    def names(self) -> list[str]:
        payments = [
            one["payload"]["payment"]["entity"]["id"] for one in self.told.values() if "payment" in one["payload"]
        ]
        refunds = [one["payload"]["refund"]["entity"]["id"] for one in self.told.values() if "refund" in one["payload"]]
        made_up = [f"{number}{name}" for number in range(3) for name in refunds] + [f"{name}i" for name in payments]
        return list(dict.fromkeys([*self.orders, *self.subscriptions, *payments, *refunds, *made_up]))


def recorded(folder: Path) -> Recorded:
    return Recorded({kind: json.loads((folder / f"{kind}.json").read_text()) for kind in KINDS})


@dataclass(frozen=True)
class Life:
    """A person with the orders and subscriptions that the recorded events are about, under names of their own."""

    by: Actor
    told: list[Signed]
    suffix: str


class Lives:
    """Lives of one kind in one database, each with new names, so that one follows the other without emptying it."""

    def __init__(self, of: Recorded) -> None:
        self.of = of
        self.number = 0
        for code, amount in zip(PACKS, of.orders.values(), strict=True):
            offers.change(code, price=amount, by=OPERATOR)
        charged = of.told["subscription.charged"]["payload"]["payment"]["entity"]["amount"]
        for code, plan in zip(PLANS, of.subscriptions.values(), strict=True):
            sold = offers.change(code, price=charged if code == PLANS[0] else None, by=OPERATOR)
            with writing(RAZORPAY) as session:  # nobody is there who could be asked for the plan
                session.get_one(Offer, sold.id).razorpay_id = plan

    def new(self) -> Life:
        self.number += 1
        suffix = f"s{self.number}"
        user = User(email=f"p{self.number}@example.com", name="P", role=Role.ANALYST)
        with writing(OPERATOR) as session:
            session.add(user)
            session.flush()
            by = Actor(user.id, user.name, Role.ANALYST)
            sold = {one.code: one for one in session.scalars(select(Offer).where(Offer.ended_at.is_(None)))}
            for code, (name, amount) in zip(PACKS, self.of.orders.items(), strict=True):
                session.add(Order(
                    user_id=user.id, offer_id=sold[code].id, credits=sold[code].credits, amount=amount,
                    razorpay_id=name + suffix, state=OrderState.CREATED,
                ))  # fmt: skip
            for code, name in zip(PLANS, self.of.subscriptions, strict=True):
                session.add(Subscription(
                    user_id=user.id, offer_id=sold[code].id, razorpay_id=name + suffix, told_at=LONG_AGO,
                    state=SubscriptionState.CREATED,
                ))  # fmt: skip
        return Life(by, [self.renamed(self.of.told[kind], suffix) for kind in KINDS], suffix)

    def renamed(self, event: Thing, suffix: str) -> Signed:
        words = json.dumps(event)
        for name in self.of.names:
            words = words.replace(f'"{name}"', f'"{name}{suffix}"')
        return signed(words.encode(), f"evt_{event['event']}_{suffix}")


def deliver(one: Signed) -> EventState | None:
    number = events.receive(one.body, signature=one.signature, event_id=one.event_id)
    return None if number is None else events.apply(number)


def state(life: Life) -> dict[str, Any]:
    """Everything that came of a life, without numbers and names that are its own."""

    def rows(table: Any, *names: str) -> list[tuple[Any, ...]]:
        listed = select(*(getattr(table, name) for name in ("razorpay_id", *names)))
        found = session.execute(listed.where(table.razorpay_id.endswith(life.suffix))).all()
        return sorted((row[0].removesuffix(life.suffix), *row[1:]) for row in found)

    kept = (
        "state", "told_at", "amount", "currency", "amount_refunded", "method", "fee", "tax", "error", "paid_at",
        "credits", "credits_back", "credits_spent", "refunded", "charge", "offer_id",
    )  # fmt: skip
    with reading() as session:
        entries = select(CreditEntry.kind, CreditEntry.amount).where(
            CreditEntry.user_id == life.by.id, CreditEntry.payment_id.is_not(None)
        )
        return {
            "orders": rows(Order, "state", "amount", "credits"),
            "payments": rows(Payment, *kept),
            "owned": session.scalar(
                select(func.count()).where(Payment.razorpay_id.endswith(life.suffix), Payment.user_id == life.by.id)
            ),
            "refunds": rows(Refund, "state", "amount", "refunded_at", "counted", "credits"),
            "subscriptions": rows(
                Subscription, "state", "told_at", "offer_id", "paid_count", "current_start", "current_end", "charge_at",
                "ended_at",
            ),
            "ledger": sorted(tuple(row) for row in session.execute(entries)),
            "lasting": credits.balance(by=life.by).lasting,
        }  # fmt: skip


@contextmanager
def lives(postgres: Server, migrated: str, name: str, folder: Path) -> Iterator[tuple[str, Lives]]:
    """One database for all lives of a kind: they share nothing but the offers."""
    url, name = postgres.url(f"{name}_{os.getpid()}"), f"{name}_{os.getpid()}"
    with psycopg.connect(postgres.url("postgres", driver=""), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{migrated}" STRATEGY FILE_COPY')
        database.bind(url)
        yield url, Lives(recorded(folder))
        database.engine().dispose()
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="module", autouse=True)
def keys() -> Iterator[None]:
    """Payments are set up; nobody is asked, since all is told."""
    with standin.used(Razorpay("http://127.0.0.1:9", {})):
        yield


@pytest.fixture(scope="module")
def own_lives(postgres: Server, migrated: str) -> Iterator[tuple[str, Lives]]:
    with lives(postgres, migrated, "payment_events", SAMPLES / "events") as made:
        yield made


@pytest.fixture(scope="module")
def their_lives(postgres: Server, migrated: str, shared_data: Path) -> Iterator[tuple[str, Lives]]:
    with lives(postgres, migrated, "payment_events_theirs", shared_data / "razorpay" / "payloads") as made:
        yield made


@pytest.fixture
def own(own_lives: tuple[str, Lives]) -> Lives:
    """Of our own samples."""
    database.bind(own_lives[0])
    return own_lives[1]


@pytest.fixture
def theirs(their_lives: tuple[str, Lives]) -> Lives:
    """Of the events that Razorpay publishes."""
    database.bind(their_lives[0])
    return their_lives[1]


@pytest.fixture
def base(own_lives: tuple[str, Lives]) -> str:
    return own_lives[0]


def in_order(lives: Lives) -> dict[str, Any]:
    life = lives.new()
    assert [deliver(one) for one in life.told] == [EventState.APPLIED] * len(KINDS)
    return state(life)


def expected(lives: Lives) -> dict[str, Any]:
    """What the recorded events come to, worked out from them by hand."""
    sold = {one.code: one for one in offers.listed(by=OPERATOR)}
    refund = lives.of.told["refund.processed"]["payload"]["refund"]["entity"]
    paid, of_refund = sold["pack-100"].credits, sold["pack-2000"].credits
    back = of_refund * refund["amount"] // list(lives.of.orders.values())[2]
    charged = sold["basic"].credits
    return {
        "ledger": sorted([("purchase", paid), ("purchase", of_refund), ("purchase", charged), ("taken back", -back)]),
        "lasting": paid + of_refund + charged - back,
        "owned": 4,
    }


def come_to_the_same(lives: Lives, seeds: int) -> None:
    """Reversed, doubled, and shuffled with so many seeds. Every tenth of these is delivered as the webhook does it,
    each event twice; the others, which take their time, in one transaction each."""
    first = in_order(lives)
    assert {name: first[name] for name in ("ledger", "lasting", "owned")} == expected(lives)
    assert [one[1] for one in first["orders"]].count("paid") == 2
    for arranged in (
        lambda told: told[::-1],
        lambda told: [one for one in told for _ in range(2)],
        lambda told: told[::-1] * 2,
    ):
        life = lives.new()
        for one in arranged(life.told):
            deliver(one)
        assert state(life) == first
    for seed in range(seeds):
        life = lives.new()
        shuffled = life.told * 2 if seed % 10 == 0 else list(life.told)
        random.Random(seed).shuffle(shuffled)
        if seed % 10 == 0:
            for one in shuffled:
                deliver(one)
        else:
            with writing(RAZORPAY) as session:
                for one in shuffled:
                    assert applying.apply(session, entities.read(one.body))
        assert state(life) == first, f"seed {seed}"


def test_events_in_any_order_come_to_the_same(own: Lives) -> None:
    come_to_the_same(own, seeds=10)


@pytest.mark.shared_data
def test_razorpays_events_in_any_order_come_to_the_same(theirs: Lives) -> None:
    come_to_the_same(theirs, seeds=200)


def test_of_two_that_tell_the_same_state_the_later_counts(own: Lives) -> None:
    """Also where it says less: the one that is told last, by Razorpay's clock, and not the one that comes last."""
    captured = own.of.told["payment.captured"]
    for order in ((0, 1), (1, 0)):
        life = own.new()
        for late in order:
            entity = {**captured["payload"]["payment"]["entity"], "fee": (7, 2)[late], "tax": (1, None)[late]}
            told = {**captured, "created_at": captured["created_at"] + late, "payload": {"payment": {"entity": entity}}}
            one = own.renamed(told, life.suffix)
            deliver(signed(one.body, f"{one.event_id} {late}"))
        with reading() as session:
            of_life = select(Payment.fee, Payment.tax).where(Payment.razorpay_id.endswith(life.suffix))
            assert session.execute(of_life).one() == (2, None)


def made_up(of: Recorded, seed: int) -> list[Thing]:
    """Events of all kinds that nobody recorded, of the same things at nearly the same moments: each refund may fail,
    each subscription go back and forth, and an invoice tell what a charge tells."""
    chance = random.Random(seed)
    begun = of.told["payment.captured"]["created_at"]

    def told(kind: str, **parts: Thing) -> Thing:
        payload = {name: {"entity": one} for name, one in parts.items()}
        return {"event": kind, "created_at": begun + chance.randrange(4), "payload": payload}

    def entity(kind: str, name: str, **values: Any) -> Thing:
        return {**of.told[kind]["payload"][name]["entity"], **values}

    def payment(kind: str) -> Thing:
        status = chance.choice(["authorized", "captured", "captured", "failed", "refunded"])
        given_back, fee = chance.choice([0, 100]), chance.choice([None, 2, 7])
        return entity(kind, "payment", status=status, captured=False, amount_refunded=given_back, fee=fee)

    def refund(number: int) -> Thing:
        whole, status = entity("refund.created", "payment")["amount"], chance.choice(["pending", "processed", "failed"])
        name = entity("refund.created", "refund")["id"]
        return entity(
            "refund.created", "refund", id=f"{number}{name}", amount=whole // (2, 3, 7)[number], status=status
        )

    def subscription(kind: str) -> Thing:
        count, status = chance.randrange(3), chance.choice(["active", "pending", "halted", "paused", "cancelled"])
        until, plan = chance.choice([None, begun]), chance.choice(list(of.subscriptions.values()))
        return entity(kind, "subscription", status=status, paid_count=count, current_end=until, plan_id=plan)

    def invoice() -> Thing:
        paid = entity("subscription.charged", "payment")
        of_charge = {"payment_id": paid["id"], "subscription_id": entity("subscription.charged", "subscription")["id"]}
        status = chance.choice(["issued", "paid", "paid"])
        return {"id": f"{paid['id']}i", "amount": paid["amount"], "status": status, **of_charge}

    paid = ["payment.captured", "payment.failed", "refund.created", "subscription.charged"]
    return [
        *(told("payment.made.up", payment=payment(kind)) for kind in paid * 2),
        *(told("refund.made.up", refund=refund(number), payment=payment("refund.created")) for number in (0, 1, 2) * 2),
        *(told("subscription.made.up", subscription=subscription(f"subscription.{kind}"))
          for kind in ("charged", "charged", "cancelled", "authenticated")),
        told("subscription.charged", subscription=entity("subscription.charged", "subscription"),
             payment=payment("subscription.charged")),
        *(told("invoice.made.up", invoice=invoice(), payment=payment("subscription.charged")) for _ in range(2)),
    ]  # fmt: skip


def test_made_up_events_in_any_order_come_to_the_same(own: Lives) -> None:
    for seed in range(6):
        found = []
        for turn in range(3):
            life, told = own.new(), made_up(own.of, seed)
            random.Random(turn).shuffle(told)
            with writing(RAZORPAY) as session:
                for one in told:
                    applying.apply(session, entities.read(own.renamed(one, life.suffix).body))
            found.append(state(life))
            # A refund that fails either took nothing, or gave it back.
            found[-1]["ledger"] = sum(amount for _, amount in found[-1]["ledger"])
            found[-1]["refunds"] = [one[:-1] for one in found[-1]["refunds"]]
        for name, first in found[0].items():
            assert [one[name] for one in found] == [first] * 3, f"seed {seed}: {name}"


def at_once(lives: Lives, rounds: int) -> None:
    """Eight threads that start together, each with all events in an order of its own: in every other round they come
    by the webhook, in the others all are stored before."""
    first = in_order(lives)
    for number in range(rounds):
        life, begin = lives.new(), Barrier(8)
        stored = [] if number % 2 else [received(one) for one in life.told]
        work: list[Callable[[], object]] = [partial(events.apply, one) for one in stored]
        work = work or [partial(deliver, one) for one in life.told]

        def run(thread: int, work: list[Callable[[], object]] = work, begin: Barrier = begin) -> None:
            shuffled = random.Random(f"{number} {thread}").sample(work, len(work))  # noqa: B023  # run in this round
            begin.wait()
            for one in shuffled:
                one()

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(run, range(8)))
        with reading() as session:
            tries = session.scalar(select(func.sum(PaymentEvent.tries)))
        assert tries == 0  # none waited for another in a circle
        assert state(life) == first, number


def received(one: Signed) -> int:
    number = events.receive(one.body, signature=one.signature, event_id=one.event_id)
    assert number is not None
    return number


def test_events_at_once_come_to_the_same(own: Lives) -> None:
    at_once(own, rounds=4)


@pytest.mark.shared_data
def test_razorpays_events_at_once_come_to_the_same(theirs: Lives) -> None:
    at_once(theirs, rounds=8)


def test_what_is_replayed_changes_nothing(own: Lives) -> None:
    life = own.new()
    for one in life.told:
        deliver(one)
    before = state(life)
    with reading() as session:
        numbers = list(session.scalars(select(PaymentEvent.id).where(PaymentEvent.event_id.endswith(life.suffix))))
    for number in random.Random(1).sample(numbers, len(numbers)):
        assert events.replay(number, by=OPERATOR).state == EventState.APPLIED
    assert state(life) == before


def test_the_stored_events_alone_give_the_same_state(own: Lives, base: str, postgres: Server, migrated: str) -> None:
    """A second database, with the people, offers, orders and subscriptions as they were before anything was told."""
    life = own.new()
    for one in life.told:
        deliver(one)
    before = state(life)
    name = f"payment_replay_{os.getpid()}"
    with psycopg.connect(postgres.url("postgres", driver=""), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{migrated}" STRATEGY FILE_COPY')
        try:
            copy(base, postgres.url(name))
            database.bind(postgres.url(name))
            assert events.apply_waiting() >= len(KINDS)
            assert state(life) == before
        finally:
            database.engine().dispose()
            database.bind(base)
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def copy(source: str, target: str) -> None:
    with psycopg.connect(libpq_url(source)) as one, psycopg.connect(libpq_url(target)) as other:
        other.execute("DELETE FROM payment_offers")
        for table in ("users", "payment_offers", "payment_orders", "payment_subscriptions", "payment_events"):
            with (
                one.cursor().copy(f"COPY (SELECT * FROM {table} ORDER BY id) TO STDOUT".encode()) as out,
                other.cursor().copy(f"COPY {table} FROM STDIN".encode()) as into,
            ):
                for piece in out:
                    into.write(piece)
        other.execute("UPDATE payment_orders SET state = 'created'")
        other.execute(
            """UPDATE payment_subscriptions SET state = 'created', told_at = 'epoch', paid_count = 0,
            current_start = NULL, current_end = NULL, charge_at = NULL, ended_at = NULL"""
        )
        other.execute("UPDATE payment_events SET state = 'waiting', tries = 0, next_try_at = now()")


@pytest.mark.parametrize("answer", [None, 0, 1])
def test_old_and_new_secret(own: Lives, answer: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """`answer`: days since the secret was changed; None: nobody said when."""
    one = own.new().told[0]
    late = signed(one.body, one.event_id, secret="the old one")
    monkeypatch.setenv("APPOINTMENT360_RAZORPAY_OLD_WEBHOOK_SECRET", "the old one")
    if answer is not None:
        changed = datetime.now(UTC) - timedelta(days=answer, minutes=1)
        monkeypatch.setenv("APPOINTMENT360_RAZORPAY_WEBHOOK_SECRET_CHANGED_AT", changed.isoformat())
    settings.cache_clear()
    nobody = signed(one.body, one.event_id, secret="")
    with pytest.raises(events.NotSigned):
        deliver(nobody)
    if answer == 0:
        assert deliver(late) == EventState.APPLIED
        monkeypatch.setenv("APPOINTMENT360_RAZORPAY_OLD_WEBHOOK_SECRET", "")
        settings.cache_clear()
        with pytest.raises(events.NotSigned):
            deliver(nobody)
        return
    with pytest.raises(events.NotSigned, match="The signature does not fit"):
        deliver(late)
    assert deliver(one) == EventState.APPLIED  # and the new one counts
    monkeypatch.undo()
    settings.cache_clear()


@pytest.fixture(autouse=True)
def settled() -> Iterator[None]:
    """Settings that a test has changed are read anew by the next one."""
    yield
    settings.cache_clear()


def test_nothing_is_stored_without_its_signature(own: Lives) -> None:
    one = own.new().told[0]
    with reading() as session:
        before = session.scalar(select(func.count()).select_from(PaymentEvent))
    for body, signature in (
        (one.body + b" ", one.signature),
        (one.body, one.signature[:-1]),
        (one.body, ""),
        (b"", "é"),
    ):
        with pytest.raises(events.NotSigned):
            events.receive(body, signature=signature, event_id="evt_x")
    for wrong in ("", "x" * 201, "a\nb"):
        with pytest.raises(InvalidInput, match="x-razorpay-event-id"):
            events.receive(one.body, signature=one.signature, event_id=wrong)
    with reading() as session:
        assert session.scalar(select(func.count()).select_from(PaymentEvent)) == before


def test_without_its_id_the_same_words_are_the_same_event(own: Lives) -> None:
    one = own.new().told[0]
    numbers = [events.receive(one.body, signature=one.signature, event_id=None) for _ in range(2)]
    assert numbers[0] is not None
    assert numbers[1] is None
    assert events.get(numbers[0], by=OPERATOR)[0].event_id.startswith("sha256:")


def test_an_event_that_fails_is_put_aside_shown_and_applied_by_hand(own: Lives) -> None:
    """A refund that comes alone, before anything is known of its payment."""
    life = own.new()
    whole = json.loads(life.told[KINDS.index("refund.created")].body)
    alone = {**whole, "payload": {"refund": whole["payload"]["refund"]}}
    one = signed(json.dumps(alone).encode(), f"evt_alone_{life.suffix}")
    number = events.receive(one.body, signature=one.signature, event_id=one.event_id)
    assert number is not None
    states = [events.apply(number) for _ in range(events.MOST_TRIES + 1)]
    assert states == [EventState.WAITING] * (events.MOST_TRIES - 1) + [EventState.DEAD, None]
    [dead], more = events.page(state=EventState.DEAD, by=OPERATOR)
    assert (dead.id, dead.tries, dead.next_try_at, more) == (number, events.MOST_TRIES, None, False)
    assert dead.error == f"Nobody told of the payment {dead_payment(whole)} whose refund this is."
    with reading() as session:
        line = session.scalars(select(AuditLine).where(AuditLine.event == Event.PAYMENT_EVENT_DEAD)).one()
    assert line.subject == f"payment event {number}"
    for told in life.told:
        deliver(told)
    assert events.replay_dead(by=OPERATOR) == 1
    assert state(life) == in_order(own)


def dead_payment(whole: Thing) -> str:
    name: str = whole["payload"]["refund"]["entity"]["payment_id"]
    return name


def test_a_failed_event_waits_longer_each_time(own: Lives) -> None:
    one = signed(
        b'{"event": "payment.captured", "payload": {"payment": {"entity": {"id": "pay_1"}}}, "created_at": 5}',
        "evt_odd",
    )
    number = events.receive(one.body, signature=one.signature, event_id=one.event_id)
    assert number is not None
    waits = []
    for _ in range(3):
        events.apply(number)
        found, _ = events.get(number, by=OPERATOR)
        assert found.next_try_at is not None
        waits.append(round((found.next_try_at - datetime.now(UTC)).total_seconds() / 60))
    assert waits == [1, 2, 4]
    assert found.error is not None
    assert found.error.startswith("The event cannot be read: payment.")
    events.apply_waiting()
    assert events.get(number, by=OPERATOR)[0].tries == 3  # it is not due


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (b"no json", "The event is no JSON."),
        (b"[]", "The event is no JSON object."),
        (b'{"event": "x", "created_at": 1}', "The event has no “payload”."),
        (b'{"event": "settlement.processed", "payload": {"settlement": {"entity": {}}}, "created_at": 1}', None),
        (b'\xff\xfe', "The event is no JSON."),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_kept_word_for_word(own: Lives, body: bytes, outcome: str | None) -> None:
    one = signed(body, f"evt_{hash(body)}")
    number = events.receive(one.body, signature=one.signature, event_id=one.event_id)
    assert number is not None
    assert events.apply(number) == (EventState.WAITING if outcome else EventState.IGNORED)
    found, words = events.get(number, by=OPERATOR)
    assert (found.error, words) == (outcome, body.decode("utf-8", "replace"))


def test_a_kill_between_storing_and_applying_loses_nothing(own: Lives, base: str) -> None:
    """Applying waits for a lock that this test holds: the process is killed right then."""
    life = own.new()
    address = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "uvicorn", "dashboard.api:api", "--port", address.rpartition(":")[2]]
    environment = {**os.environ, "DATABASE_URL": base, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(address, process)
        with psycopg.connect(libpq_url(base)) as holding:
            holding.execute("LOCK TABLE payments, payment_subscriptions IN ACCESS EXCLUSIVE MODE")
            for one in life.told:
                answer = httpx.post(f"{address}/payments/webhook", content=one.body, headers=one.headers)
                assert (answer.status_code, answer.json()) == (200, {"state": "stored"})
            again = httpx.post(f"{address}/payments/webhook", content=one.body, headers=one.headers)
            assert again.json() == {"state": "known"}
            process.send_signal(signal.SIGKILL)
            process.wait()
    finally:
        process.kill()
        process.wait()
    with reading() as session:
        waiting = select(func.count()).where(PaymentEvent.state == EventState.WAITING)
        of_life = waiting.where(PaymentEvent.event_id.endswith(life.suffix))
        assert session.scalar(of_life) == len(KINDS)
    applied, deadline = 0, time.monotonic() + 30  # the server may need a moment to notice that its client is dead
    while applied < len(KINDS) and time.monotonic() < deadline:
        applied += events.apply_waiting()
    assert applied == len(KINDS)
    assert state(life) == in_order(own)


def wait_for(address: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            httpx.get(f"{address}/health").raise_for_status()
        except httpx.HTTPError:
            assert process.poll() is None
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the API did not start")


def test_the_events_of_a_thing_are_found_by_its_name(own: Lives) -> None:
    life = own.new()
    for one in life.told:
        deliver(one)
    name = json.loads(life.told[0].body)["payload"]["payment"]["entity"]["id"]
    found, _ = events.page(about=name, by=OPERATOR)
    assert [one.kind for one in found] == ["order.paid", "payment.captured", "payment.authorized"]
    newest, more = events.page(size=2, by=OPERATOR)
    older, _ = events.page(before_id=newest[-1].id, size=1, by=OPERATOR)
    assert (len(newest), more, older[0].id < newest[-1].id) == (2, True, True)
    assert events.numbers(by=OPERATOR)[EventState.APPLIED] >= len(KINDS)
    with writing(OPERATOR) as session:  # events of nobody's payments are kept, and change nobody's credits
        assert (
            session.scalar(text("SELECT count(*) FROM credit_entries WHERE payment_id IS NULL AND kind = 'purchase'"))
            == 0
        )
    assert listing.revenue(1, by=OPERATOR)
