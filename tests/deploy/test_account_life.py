"""The whole life of an account by nothing but HTTP requests to what `up` runs: signed in, a hundred thousand rows come,
go out and are taken back, credits are bought, used and refunded."""

import base64
import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import razorpay as standin
from tests.deploy.test_up import Machine
from tests.razorpay import Razorpay
from tests.waiting import until

ROWS, PART = 100_000, 1_500_000
COUNTRIES = ("Germany", "France", "Italy", "Spain")
PATIENCE = 180.0  # seconds, for what flows do
PASSWORD = "seven long rivers run north"


@pytest.fixture
def razorpay() -> Iterator[Razorpay]:
    with standin.serving() as made, standin.used(made):
        yield made


@pytest.fixture
def machine(razorpay: Razorpay, open_folder: Path) -> Iterator[Machine]:
    made = Machine(open_folder / "home")
    try:
        made.start()
        yield made
    finally:
        made.kill()


def file() -> bytes:
    lines = ["Email,First Name,Last Name,Company,Country,# Employees"]
    lines += [
        f"p{number}@x{number % 9}.com,Ann{number},Archer,Company {number % 977},{COUNTRIES[number % 4]},{number % 500}"
        for number in range(ROWS)
    ]
    return "\r\n".join(lines).encode()


def test_the_life_of_an_account(machine: Machine, razorpay: Razorpay) -> None:
    api = f"http://127.0.0.1:{machine.port}/api/v1"
    with httpx.Client(base_url=api, timeout=60) as mia, httpx.Client(base_url=api, timeout=60) as admin:
        sign_in(admin, "root@example.com", printed_password(machine))
        invited(admin, mia)

        data = file()
        address = uploaded(mia, data)
        chosen = told(mia.get(f"{address}/mapping"))["chosen"]
        planned = gone_on(mia, mia.put(f"{address}/mapping", json={**chosen, "match": "email"}))
        assert (planned["state"], planned["created"], planned["rejected"]) == ("planned", ROWS, 0)
        plan = told(mia.get(f"{address}/plan"))["plan"]
        assert gone_on(mia, mia.post(f"{address}/commit", json={"plan": plan}))["state"] == "committed"

        asked = {"country": "Germany", "employees.gte": 400, "count": True, "size": 1}
        page = told(mia.get("/contacts", params=asked))
        assert (page["total"], page["contacts"][0]["country"]) == (5_000, "Germany")
        content = exported(mia, {"filter": "country=Germany", "columns": ["email", "company"], "format": "csv"})
        assert content.count(b"\n") == 25_001
        assert mia.get("/credits").json()["available"] == 0

        payment = bought(mia, admin, razorpay, "pack-100")
        exported(mia, {"filter": "country=Italy&company.is=Company 2", "format": "csv"})
        left = mia.get("/credits").json()["available"]
        refunded(admin, payment)
        assert 0 < left < 100
        assert mia.get("/credits").json()["available"] == 0
        entries = [(one["kind"], one["amount"]) for one in told(mia.get("/credits/entries"))["entries"]]
        assert entries[0] == ("taken back", -left)
        assert ("purchase", 100) in entries

        undone = gone_on(mia, mia.post(f"{address}/undo"))
        assert undone["undone"] == {"removed": ROWS, "restored": 0, "kept": 0}
        assert mia.get("/contacts", params={"count": True}).json()["total"] == 0
        assert mia.delete("/sessions/current").status_code == 204
        assert mia.get("/profile").status_code == 401


def printed_password(machine: Machine) -> str:
    found = re.search(r"^Password: +(\S+)$", machine.said, re.MULTILINE)
    assert found
    return found[1]


def sign_in(program: httpx.Client, email: str, password: str) -> None:
    signed_in = told(program.post("/sessions", json={"email": email, "password": password}))
    assert signed_in["needs"] is None
    program.headers["authorization"] = f"Bearer {signed_in['token']}"


def invited(admin: httpx.Client, mia: httpx.Client) -> None:
    """As a manager with 25,000 downloads a month; she chooses a password by the link, and signs in with it."""
    wanted = {"email": "mia@example.com", "name": "Mia", "role": "manager", "download_limit": 25_000}
    link = told(admin.post("/users", json=wanted))["link"]
    chosen = {"link": link.partition("?link=")[2], "password": PASSWORD}
    told(mia.post("/links/password", json=chosen))
    sign_in(mia, "mia@example.com", PASSWORD)


def uploaded(program: httpx.Client, data: bytes) -> str:
    """The address of the opened import: its last part was sent first, and one of them twice."""
    described = {"name": "people.csv", "size": len(data), "part_size": PART}
    begun = program.post("/imports", json=described, headers={"idempotency-key": "people.csv"})
    again = program.post("/imports", json=described, headers={"idempotency-key": "people.csv"})
    assert begun.status_code == 201, begun.text
    assert (begun.status_code, again.json(), again.headers["location"]) == (
        201, begun.json(), begun.headers["location"],
    )  # fmt: skip
    address = f"/imports/{begun.json()['import_id']}"
    numbers = begun.json()["missing"]
    assert len(numbers) > 3
    for number in (numbers[-1], *numbers[:-1], numbers[1]):
        part = data[(number - 1) * PART : number * PART]
        digest = base64.b64encode(hashlib.sha256(part).digest()).decode()
        sent = program.put(f"{address}/parts/{number}", content=part, headers={"content-digest": f"sha-256=:{digest}:"})
        assert sent.status_code == 200, sent.text
    whole = {"sha256": hashlib.sha256(data).hexdigest()}
    opened = gone_on(program, program.post(f"{address}/upload/complete", json=whole))
    assert (opened["state"], opened["rows"], opened["sha256"]) == ("opened", ROWS, whole["sha256"])
    return address


def gone_on(program: httpx.Client, answer: httpx.Response) -> Any:
    """The import, once its flow has done what the answer promises."""
    assert answer.status_code == 202, answer.text
    address = answer.headers["location"].removeprefix("/api/v1")
    found = seen(lambda: told(program.get(address)), lambda one: one["wanted"] is None)
    assert found["error"] is None, found
    return found


def exported(program: httpx.Client, wanted: dict[str, Any]) -> bytes:
    """The file, fetched in two ranges."""
    asked = program.post("/exports", json=wanted)
    assert asked.status_code == 202, asked.text
    address = f"/exports/{asked.json()['id']}"
    receipt = seen(lambda: program.get(address).json(), lambda one: one["state"] in ("done", "failed"))
    assert receipt["state"] == "done", receipt
    middle = receipt["bytes"] // 2
    first = program.get(f"{address}/file", headers={"range": f"bytes=0-{middle - 1}"})
    rest = program.get(f"{address}/file", headers={"range": f"bytes={middle}-", "if-range": first.headers["etag"]})
    assert (first.status_code, rest.status_code) == (206, 206)
    content = first.content + rest.content
    assert hashlib.sha256(content).hexdigest() == receipt["sha256"]
    return content


def bought(buyer: httpx.Client, admin: httpx.Client, razorpay: Razorpay, pack: str) -> str:
    """The payment's address: the order, the customer at Razorpay's checkout, and what Razorpay tells, twice."""
    order = told(buyer.post("/payments/orders", json={"pack": pack}))
    event = razorpay.event("payment.captured", payment=razorpay.pay(order["razorpay_id"]))
    for state in ("stored", "known"):
        assert told(admin.post("/payments/webhook", content=event.body, headers=event.headers))["state"] == state
    seen(lambda: buyer.get("/credits").json(), lambda one: one["available"] == 100)
    [payment] = told(admin.get("/payments", params={"who": "mia@example.com"}))["payments"]
    return f"/payments/{payment['id']}"


def refunded(admin: httpx.Client, payment: str) -> None:
    """All that was paid; of the credits come back those that are left."""
    amount = told(admin.get(f"{payment}/refund"))["refundable"]
    refund = told(admin.post(f"{payment}/refunds", json={"amount": amount, "reason": "not wanted"}))
    assert refund["state"] == "processed"
    assert admin.get(payment).json()["refunded"] == amount


def told(answer: httpx.Response) -> Any:
    assert answer.is_success, answer.text
    return answer.json()


def seen(look: Callable[[], Any], wanted: Callable[[Any], bool]) -> Any:
    """What is looked at, once it is as wanted; not so often that the hour's requests would be used up."""

    def as_wanted() -> list[Any]:
        found = look()
        return [found] if wanted(found) else []

    return until("it is as wanted", as_wanted, lambda: str(look()), within=PATIENCE, every=0.6)[0]
