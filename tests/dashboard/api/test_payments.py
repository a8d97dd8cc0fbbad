"""Payments over HTTP, as programs and as Razorpay meet them."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from models import database, settings
from models.payments import events
from models.permissions import Role
from tests import razorpay as standin
from tests.dashboard.api.conftest import Client
from tests.razorpay import KEY_SECRET, Razorpay, Signed, sign
from tests.waiting import until


@pytest.fixture
def razorpay(db: str) -> Iterator[Razorpay]:
    with standin.serving() as made, standin.used(made):
        yield made


def told(address: str, one: Signed) -> httpx.Response:
    return httpx.post(f"{address}/payments/webhook", content=one.body, headers=one.headers)


def soon(look: Any, wanted: object) -> None:
    """What is told is applied after the answer."""
    until("it is applied", lambda: look() == wanted, lambda: str(look()))


def test_a_pack_is_bought_and_its_credits_come_by_webhook(razorpay: Razorpay, client: Client, address: str) -> None:
    ann, boss = client(Role.ANALYST), client(Role.ADMIN)
    offered = ann.get("/payments/offers", params={"kind": "pack"}).json()
    assert (offered["ready"], offered["how"]) == (True, None)
    assert offered["offers"][0] == {
        "kind": "pack", "code": "pack-100", "title": "100 credits", "credits": 100, "price": 29_900, "currency": "INR",
    }  # fmt: skip
    key = {"idempotency-key": "one"}
    order, again = (ann.post("/payments/orders", json={"pack": "pack-100"}, headers=key) for _ in range(2))
    assert (order.status_code, again.json(), len(razorpay.things["order"])) == (201, order.json(), 1)
    paid = razorpay.pay(order.json()["razorpay_id"])
    event = razorpay.event("payment.captured", payment=paid)
    assert [told(address, event).json()["state"] for _ in range(2)] == ["stored", "known"]
    soon(
        lambda: [(one["state"], one["credits"]) for one in ann.get("/payments/mine").json()["payments"]],
        [("captured", 100)],
    )
    [payment] = boss.get("/payments", params={"who": "analyst0@example.com", "size": 1}).json()["payments"]
    assert (payment["email"], payment["amount"], payment["currency"]) == ("analyst0@example.com", 29_900, "INR")
    path = f"/payments/{payment['id']}"
    assert boss.get(f"{path}/refund", params={"amount": 15_000}).json() == {
        "amount": 15_000, "refundable": 29_900, "credits": 50, "spent": 0,
    }  # fmt: skip
    refund = boss.post(f"{path}/refunds", json={"amount": 15_000, "reason": "half"})
    assert (refund.status_code, refund.json()["state"], refund.json()["credits"]) == (201, "processed", 50)
    whole = boss.get(path).json()
    assert (whole["refunded"], whole["credits_back"], whole["refunds"]) == (15_000, 50, [refund.json()])
    month = boss.get("/payments/revenue", params={"months": 1}).json()
    assert month["currency"] == "INR"
    assert (month["months"][0]["captured"], month["months"][0]["refunded"], month["months"][0]["revenue"]) == (
        29_900, 15_000, 14_900,
    )  # fmt: skip
    [invoice] = ann.get("/payments/invoices").json()
    assert (invoice["number"], invoice["refunded"]) == (payment["id"], 15_000)


def test_a_wrong_signature_is_refused(razorpay: Razorpay, client: Client, address: str) -> None:
    boss = client(Role.ADMIN)
    event = razorpay.event("payment.captured", payment=razorpay.make("payment"))
    for headers in ({}, {**event.headers, "x-razorpay-signature": "00"}):
        answer = httpx.post(f"{address}/payments/webhook", content=event.body, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json")
    large = httpx.post(f"{address}/payments/webhook", content=b"x" * 1_000_001, headers=event.headers)
    assert large.status_code == 413
    assert boss.get("/payments/events").json()["events"] == []


def test_what_razorpay_told_is_shown_and_applied_again(razorpay: Razorpay, client: Client, address: str) -> None:
    boss = client(Role.ADMIN)
    for number in range(3):
        told(
            address,
            razorpay.event("payment.failed", payment=razorpay.make("payment", status="failed", amount=number + 100)),
        )
    soon(lambda: boss.get("/payments/events").json()["numbers"]["applied"], 3)
    first = boss.get("/payments/events", params={"size": 2, "state": "applied"}).json()
    second = boss.get("/payments/events", params={"size": 2, "before_id": first["next"]}).json()
    assert [len(page["events"]) for page in (first, second)] == [2, 1]
    assert second["next"] is None
    one = boss.get(f"/payments/events/{first['events'][0]['id']}").json()
    assert (one["kind"], '"payment.failed"' in one["body"]) == ("payment.failed", True)
    again = boss.post(f"/payments/events/{one['id']}/replay").json()
    assert (again["state"], again["tries"]) == ("applied", 0)
    assert boss.get("/payments/events/99999").status_code == 404
    page = boss.get("/payments", params={"size": 2}).json()
    rest = boss.get("/payments", params={"size": 2, "after": page["next"]}).json()
    assert [len(one["payments"]) for one in (page, rest)] == [2, 1]
    wrong = boss.get("/payments", params={"size": 2, "state": "failed", "after": page["next"]})
    assert (wrong.status_code, "belongs to another filter" in wrong.json()["detail"]) == (422, True)


def test_a_subscription_over_http(razorpay: Razorpay, client: Client) -> None:
    ann = client(Role.ANALYST)
    assert ann.get("/payments/subscription").json() == {"subscription": None}
    assert ann.post("/payments/subscription/cancel").status_code == 404
    started = ann.post("/payments/subscription", json={"plan": "basic"}).json()
    paid = razorpay.charge(started["razorpay_id"])
    signature = sign(KEY_SECRET, f"{paid['id']}|{started['razorpay_id']}".encode())
    back = {"razorpay_payment_id": paid["id"], "razorpay_signature": signature}
    assert ann.post("/payments/subscription/return", json=back | {"razorpay_signature": "x"}).status_code == 422
    own = ann.post("/payments/subscription/return", json=back).json()
    assert (own["state"], own["plan"]["code"], own["paid_count"]) == ("active", "basic", 1)
    assert ann.post("/payments/subscription/change", json={"plan": "pro"}).json()["next_plan"]["code"] == "pro"
    assert ann.post("/payments/subscription/pause").json()["state"] == "paused"
    assert ann.post("/payments/subscription/pause").status_code == 409
    assert ann.post("/payments/subscription/resume").json()["state"] == "active"
    assert ann.post("/payments/subscription/cancel").json()["cancels_at_end"] is True


def test_prices_are_changed_and_comparisons_asked_for_by_who_may(razorpay: Razorpay, client: Client) -> None:
    boss, manager = client(Role.ADMIN), client(Role.MANAGER)
    changed = boss.patch("/payments/offers/pro", json={"price": 450_000, "credits": 3000})
    assert (changed.json()["price"], changed.json()["credits"]) == (450_000, 3000)
    assert boss.patch("/payments/offers/pro", json={"price": 99}).status_code == 422
    assert boss.patch("/payments/offers/gold", json={"price": 9900}).status_code == 404
    assert manager.patch("/payments/offers/pro", json={"price": 100}).status_code == 403
    asked = boss.post("/payments/comparisons", json={"days": 2})
    assert (asked.status_code, asked.json()["started"]) == (202, False)  # no Prefect is there
    assert boss.get("/payments/findings").json()["comparison"]["state"] == "waiting"


def test_without_keys_it_is_said_what_to_set(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in standin.environment(""):
        monkeypatch.delenv(name, raising=False)
    settings.settings.cache_clear()
    ann = client(Role.ANALYST)
    offered = ann.get("/payments/offers").json()
    assert (offered["ready"], len(offered["offers"])) == (False, 6)
    assert offered["how"].startswith("Payments are not set up: set APPOINTMENT360_RAZORPAY_KEY_ID and ")
    refused = ann.post("/payments/orders", json={"pack": "pack-100"})
    assert (refused.status_code, refused.json()["detail"]) == (503, offered["how"])
    assert client(None).post("/payments/webhook", json={}).status_code == 503


def test_what_is_not_stored_in_time_is_to_be_sent_again(
    razorpay: Razorpay, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Razorpay gives an answer five seconds, a connection comes within thirty: here all of them are taken."""
    one = razorpay.event("payment.captured", payment=razorpay.make("payment", amount=100, status="captured"))
    monkeypatch.setattr(events, "PATIENCE", 0.2)
    engine = database.engine()
    taken = [engine.connect() for _ in range(30)]
    try:
        answer = told(address, one)
    finally:
        for connection in taken:
            connection.close()
    assert (answer.status_code, answer.json()["detail"]) == (
        503,
        "The event could not be stored in time: send it again.",
    )
    monkeypatch.undo()
    soon(lambda: told(address, one).json(), {"state": "known"})
