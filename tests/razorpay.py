"""A Razorpay of the tests: a real HTTP server on a port of its own, which the real client speaks to.

Its answers are recorded ones, with what was asked for in them. Beside the client's side it has that of customers, who
pay, and that of Razorpay itself, which tells of it: `event` gives a signed request of the webhook.
"""

import base64
import hashlib
import hmac
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from models import settings

SAMPLES = Path(__file__).parent / "samples" / "razorpay"
CHECKOUT = (Path(__file__).parent / "samples" / "razorpay" / "checkout.js").read_bytes()
KEY_ID, KEY_SECRET, WEBHOOK_SECRET = "rzp_test_key", "key_secret", "webhook_secret"
PREFIXES = {
    "order": "order",
    "payment": "pay",
    "refund": "rfnd",
    "subscription": "sub",
    "plan": "plan",
    "invoice": "inv",
}
RECORDED = {
    "order": "fake_order", "payment": "fake_payment", "refund": "fake_refund", "subscription": "fake_subscription",
    "plan": "fake_plan", "invoice": "fake_invoice", "error": "bad_request_error",
}  # fmt: skip
Thing = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: Thing


@dataclass(frozen=True)
class Signed:
    """A request of the webhook."""

    body: bytes
    signature: str
    event_id: str

    @property
    def headers(self) -> dict[str, str]:
        return {"x-razorpay-signature": self.signature, "x-razorpay-event-id": self.event_id}


class Refusal(Exception):
    def __init__(self, status: int, description: str) -> None:
        self.status, self.description = status, description
        super().__init__(description)


def sign(secret: str, message: bytes) -> str:
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def answers(folder: Path) -> dict[str, Thing]:
    """By the name of the thing: our own samples, or those that the client's own tests recorded."""
    own = {name: folder / f"{name}.json" for name in RECORDED}
    recorded = {name: folder / f"{file}.json" for name, file in RECORDED.items()}
    files = own if own["order"].is_file() else recorded
    return {name: json.loads(file.read_text()) for name, file in files.items()}


@dataclass
class Razorpay:
    url: str
    templates: dict[str, Thing]
    things: dict[str, dict[str, Thing]] = field(default_factory=lambda: {name: {} for name in PREFIXES})
    asked: list[Asked] = field(default_factory=list)
    refusing: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    """What the next requests are answered: status and headers."""
    silent: bool = False
    """It carries out what it is asked for, and does not answer."""
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    lock: threading.RLock = field(default_factory=threading.RLock)

    def make(self, kind: str, **values: Any) -> Thing:
        """A thing like the recorded one, with a name of its own."""
        recorded = json.loads(json.dumps(self.templates[kind]))
        name = f"{PREFIXES[kind]}_T{next(self.numbers):08}{int(self.url.rpartition(':')[2]):05}"
        made = {**recorded, "id": name, "created_at": int(time.time()), **values}
        self.things[kind][made["id"]] = made
        return made

    def pay(self, order: str, status: str = "captured") -> Thing:
        """A customer pays an order in the checkout."""
        with self.lock:
            of = self.things["order"][order]
            paid = status == "captured"
            of.update(status="paid" if paid else "attempted", attempts=1)
            return self.make(
                "payment", amount=of["amount"], currency="INR", status=status, order_id=order, method="upi",
                captured=paid, fee=of["amount"] // 50 if paid else None, tax=0 if paid else None,
            )  # fmt: skip

    def checked_out(self, name: str) -> Thing:
        """What the checkout answers in the browser once a customer has paid: of an order the money is not in yet."""
        if name in self.things["subscription"]:
            paid = self.charge(name)
            message = f"{paid['id']}|{name}"
        else:
            paid = self.pay(name, "authorized")
            message = f"{name}|{paid['id']}"
        return {"razorpay_payment_id": paid["id"], "razorpay_signature": sign(KEY_SECRET, message.encode())}

    def capture(self, order: str) -> Signed:
        """The money of an order is in, and its event is on its way."""
        with self.lock:
            paid = next(one for one in self.things["payment"].values() if one["order_id"] == order)
            paid.update(status="captured", captured=True, fee=paid["amount"] // 50, tax=0)
            self.things["order"][order]["status"] = "paid"
            return self.event("payment.captured", payment=paid)

    def charge(self, subscription: str) -> Thing:
        """A month of a subscription is charged; the first time that is its checkout."""
        with self.lock:
            of = self.things["subscription"][subscription]
            now = int(time.time())
            amount = self.things["plan"][of["plan_id"]]["item"]["amount"]
            paid = self.make(
                "payment", amount=amount, currency="INR", status="captured", order_id=self.make("order")["id"],
                captured="1", method="card", fee=0, tax=0, description="Recurring Payment via Subscription",
            )  # fmt: skip
            invoice = self.make(
                "invoice", amount=amount, status="paid", subscription_id=subscription, payment_id=paid["id"],
                short_url=f"{self.url}/i/1", issued_at=now,
            )  # fmt: skip
            paid["invoice_id"] = invoice["id"]
            of.update(
                status="active", current_start=now, current_end=now + 2_592_000, charge_at=now + 2_592_000,
                paid_count=of["paid_count"] + 1,
            )  # fmt: skip
            return paid

    def give_back(self, payment: str, amount: int, **values: Any) -> Thing:
        """A refund, as somebody makes it at Razorpay itself."""
        with self.lock:
            of = self.things["payment"][payment]
            if amount > of["amount"] - of["amount_refunded"]:
                raise Refusal(400, "The total refund amount is greater than the refund payment amount")
            of["amount_refunded"] += amount
            whole = of["amount_refunded"] == of["amount"]
            of.update(refund_status="full" if whole else "partial", status="refunded" if whole else "captured")
            return self.make("refund", payment_id=payment, amount=amount, **{"receipt": None, "notes": [], **values})

    def event(self, kind: str, *, secret: str = WEBHOOK_SECRET, at: int | None = None, **told: Thing) -> Signed:
        whole = {
            "entity": "event", "event": kind, "contains": list(told), "created_at": at or int(time.time()),
            "payload": {name: {"entity": one} for name, one in told.items()},
        }  # fmt: skip
        return signed(json.dumps(whole).encode(), f"evt_{next(self.numbers)}_{self.url[-5:]}", secret=secret)

    def answer(self, asked: Asked) -> Thing:
        """Raises Refusal."""
        expected = base64.b64encode(f"{KEY_ID}:{KEY_SECRET}".encode()).decode()
        if asked.headers.get("authorization") != f"Basic {expected}":
            raise Refusal(401, "Authentication failed")
        path, query = urlsplit(asked.path).path, dict(parse_qsl(urlsplit(asked.path).query))
        for method, pattern, work in ROUTES:
            if method == asked.method and (found := re.fullmatch(pattern, path)):
                return work(self, *found.groups(), {**query, **asked.body}, asked.headers)
        raise Refusal(404, "The requested URL was not found on the server.")

    def get(self, kind: str, name: str) -> Thing:
        if name not in self.things[kind]:
            raise Refusal(400, "The id provided does not exist")
        return self.things[kind][name]

    def every(self, kind: str, wanted: Thing) -> Thing:
        first, last = int(wanted.get("from", 0)), int(wanted.get("to", 10**11))
        found = [one for one in self.things[kind].values() if first <= one["created_at"] <= last]
        if name := wanted.get("subscription_id"):
            found = [one for one in found if one.get("subscription_id") == name]
        skip = int(wanted.get("skip", 0))
        page = found[::-1][skip : skip + int(wanted.get("count", 10))]
        return {"entity": "collection", "count": len(page), "items": page}


def signed(body: bytes, event_id: str, *, secret: str = WEBHOOK_SECRET) -> Signed:
    return Signed(body, sign(secret, body), event_id)


def _order(of: Razorpay, wanted: Thing, _: dict[str, str]) -> Thing:
    if wanted["amount"] < 100:
        raise Refusal(400, "Order amount less than minimum amount allowed")
    given = {name: wanted[name] for name in ("amount", "currency", "receipt")}
    return of.make("order", **given, status="created", attempts=0)


def _plan(of: Razorpay, wanted: Thing, _: dict[str, str]) -> Thing:
    item = {**of.templates["plan"]["item"], **wanted["item"]}
    return of.make("plan", period=wanted["period"], interval=wanted["interval"], item=item)


def _subscription(of: Razorpay, wanted: Thing, _: dict[str, str]) -> Thing:
    of.get("plan", wanted["plan_id"])
    blank = dict.fromkeys(("current_start", "current_end", "ended_at", "charge_at", "start_at", "end_at"))
    given = {name: wanted[name] for name in ("plan_id", "total_count", "quantity")}
    return of.make("subscription", **blank, **given, status="created", paid_count=0)


def _refund(of: Razorpay, payment: str, wanted: Thing, headers: dict[str, str]) -> Thing:
    key = headers.get("x-refund-idempotency")
    of.get("payment", payment)
    known = [one for one in of.things["refund"].values() if key is not None and one.get("key") == key]
    if known:
        return known[0]
    given = {name: wanted[name] for name in ("receipt", "notes") if name in wanted}
    return of.give_back(payment, wanted["amount"], **given, key=key, status="processed")


def _edited(of: Razorpay, name: str, wanted: Thing, _: dict[str, str]) -> Thing:
    found = of.get("subscription", name)
    of.get("plan", wanted["plan_id"])
    if found["status"] not in ("authenticated", "active"):
        raise Refusal(400, f"Subscription is not updatable in {found['status']} status.")
    found["has_scheduled_changes"], found["next_plan"] = True, wanted["plan_id"]
    return found


def _act(change: Callable[[Thing, Thing], Thing], *states: str) -> Callable[..., Thing]:
    def work(of: Razorpay, name: str, wanted: Thing, _: dict[str, str]) -> Thing:
        found = of.get("subscription", name)
        if states and found["status"] not in states:
            raise Refusal(400, f"Subscription is not possible in {found['status']} status.")
        found.update(change(found, wanted))
        return found

    return work


def _cancelled(_: Thing, wanted: Thing) -> Thing:
    return {} if wanted.get("cancel_at_cycle_end") else {"status": "cancelled", "ended_at": int(time.time())}


ID = "([A-Za-z0-9_]+)"
ROUTES: list[tuple[str, str, Callable[..., Thing]]] = [
    ("POST", "/v1/orders", _order),
    ("POST", "/v1/plans", _plan),
    ("POST", "/v1/subscriptions", _subscription),
    ("PATCH", f"/v1/subscriptions/{ID}", _edited),
    ("POST", f"/v1/subscriptions/{ID}/cancel", _act(_cancelled)),
    ("POST", f"/v1/subscriptions/{ID}/pause", _act(lambda *_: {"status": "paused"}, "active")),
    ("POST", f"/v1/subscriptions/{ID}/resume", _act(lambda *_: {"status": "active"}, "paused")),
    (
        "POST",
        f"/v1/subscriptions/{ID}/cancel_scheduled_changes",
        _act(lambda *_: {"has_scheduled_changes": False, "next_plan": None}),
    ),
    ("POST", f"/v1/payments/{ID}/refund", _refund),
    (
        "GET",
        f"/v1/orders/{ID}/payments",
        lambda of, name, *_: {"items": [one for one in of.things["payment"].values() if one["order_id"] == name]},
    ),
    (
        "GET",
        f"/v1/payments/{ID}/refunds",
        lambda of, name, *_: {"items": [one for one in of.things["refund"].values() if one["payment_id"] == name]},
    ),
    *(
        ("GET", f"/v1/{kind}s/{ID}", lambda of, name, *_, kind=kind: of.get(kind, name))
        for kind in ("order", "payment", "refund", "subscription", "invoice", "plan")
    ),
    *(
        ("GET", f"/v1/{kind}s", lambda of, wanted, _, kind=kind: of.every(kind, wanted))
        for kind in ("payment", "refund", "invoice")
    ),
]  # fmt: skip


@contextmanager
def serving(folder: Path = SAMPLES / "answers") -> Iterator[Razorpay]:
    """`folder` holds the recorded answers."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    made = Razorpay(f"http://127.0.0.1:{server.server_port}", answers(folder))
    server.razorpay = made  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


def environment(url: str) -> dict[str, str]:
    return {
        "APPOINTMENT360_RAZORPAY_KEY_ID": KEY_ID,
        "APPOINTMENT360_RAZORPAY_KEY_SECRET": KEY_SECRET,
        "APPOINTMENT360_RAZORPAY_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "APPOINTMENT360_RAZORPAY_URL": url,
    }


@contextmanager
def used(made: Razorpay) -> Iterator[Razorpay]:
    """This process, and those that it starts, find their Razorpay there."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(made.url).items():
            patch.setenv(name, value)
        settings.settings.cache_clear()
        yield made
    settings.settings.cache_clear()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Nothing: the tests' output is for failures."""

    def _answer(self) -> None:
        razorpay: Razorpay = self.server.razorpay  # type: ignore[attr-defined]
        if self.path == "/v1/checkout.js":
            self._write(200, CHECKOUT, {"content-type": "text/javascript"})
            return
        if self.path.startswith("/checkout/"):  # its window, at which a customer pays
            self._send(
                200, razorpay.checked_out(self.path.removeprefix("/checkout/")), {"access-control-allow-origin": "*"}
            )
            return
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, self.path, headers, json.loads(body) if body else {})
        with razorpay.lock:
            razorpay.asked.append(asked)
            if razorpay.refusing:
                status, more = razorpay.refusing.pop(0)
                self._send(status, {"error": {"code": "BAD_REQUEST_ERROR", "description": "Too many requests"}}, more)
                return
            try:
                answer, status = razorpay.answer(asked), 200
            except Refusal as refusal:
                error = {**razorpay.templates["error"]["error"], "description": refusal.description}
                answer, status = {"error": error}, refusal.status
            if razorpay.silent:
                self.close_connection = True
                return
            self._send(status, answer, {})

    def _send(self, status: int, answer: Thing, headers: dict[str, str]) -> None:
        self._write(status, json.dumps(answer).encode(), {"content-type": "application/json", **headers})

    def _write(self, status: int, told: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"content-length": str(len(told)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(told)

    do_GET = do_POST = do_PATCH = _answer  # noqa: N815  # the names that the server looks for
