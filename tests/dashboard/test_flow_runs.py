import base64
import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from dashboard import flow_runs

SIGN = "Basic " + base64.b64encode(b"admin:secret").decode()

FLOWS = (
    "export-contacts", "import-contacts", "undo-import", "redo-import", "reconcile-payments", "validate-contacts",
)  # fmt: skip


class Prefect(BaseHTTPRequestHandler):
    """Stands in for the two routes of Prefect 3.8's server that are used, with its answers' shape."""

    runs: ClassVar[dict[str, dict[str, Any]]] = {}
    flows: ClassVar[dict[str, str]] = {}
    known: ClassVar[bool] = True
    pause: ClassVar[float] = 0.0

    def do_GET(self) -> None:
        name = self.path.removeprefix("/api/deployments/name/")
        here = name in [f"{flow}/default" for flow in FLOWS] and self.known
        self._answer(200 if here else 404, {"id": f"of-{name.partition('/')[0]}", "name": "default"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        flow = self.path.removeprefix("/api/deployments/of-").removesuffix("/create_flow_run")
        made = flow in FLOWS
        self.runs.setdefault(body["idempotency_key"], body)
        self.flows[body["idempotency_key"]] = flow
        self._answer(201 if made else 404, {"id": "r1"})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        time.sleep(self.pause)
        self.send_response(status if self.headers["authorization"] == SIGN else 401)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow_runs._Waited, "since", 0.0)
    monkeypatch.setattr(flow_runs._Waited, "seconds", 0.0)


@pytest.fixture
def prefect(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Prefect]]:
    Prefect.runs.clear()
    Prefect.known = True
    with ThreadingHTTPServer(("127.0.0.1", 0), Prefect) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{server.server_port}/api")
        monkeypatch.setenv("PREFECT_API_AUTH_STRING", "admin:secret")
        yield Prefect
        server.shutdown()
        thread.join()


def test_an_export_is_started_once_however_often_it_is_asked_for(prefect: type[Prefect]) -> None:
    tried = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    assert flow_runs.start_export(7, at=tried)
    assert flow_runs.start_export(7, at=tried + timedelta(seconds=59))
    key = "export-7-2026-03-01T12:30"
    assert prefect.runs == {key: {"parameters": {"export_id": 7}, "idempotency_key": key}}


def test_a_later_try_is_another_run(prefect: type[Prefect]) -> None:
    tried = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    assert flow_runs.start_export(7, at=tried)
    assert flow_runs.start_export(7, at=tried + timedelta(minutes=1))
    assert [run["parameters"] for run in prefect.runs.values()] == [{"export_id": 7}] * 2


def test_an_export_is_not_started_while_its_flow_is_unknown(prefect: type[Prefect]) -> None:
    prefect.known = False
    assert not flow_runs.start_export(7)
    assert prefect.runs == {}


def test_an_export_is_not_started_without_prefect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    assert not flow_runs.start_export(7)
    monkeypatch.delenv("PREFECT_API_URL")
    assert not flow_runs.start_export(7)


def test_an_import_is_started_for_what_is_wanted_of_it(prefect: type[Prefect]) -> None:
    tried = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    for until, order in (("planned", 3), ("undone", 4)):
        assert flow_runs.start_import(7, until=until, order=order, at=tried)
    planning, undoing = "import-7-3-2026-03-01T12:30", "import-7-4-2026-03-01T12:30"
    assert prefect.runs[planning]["parameters"] == {"import_id": 7, "until": "planned", "order": 3}
    assert prefect.runs[undoing]["parameters"] == {"import_id": 7, "order": 4}
    assert (prefect.flows[planning], prefect.flows[undoing]) == ("import-contacts", "undo-import")
    assert flow_runs.start_import(7, until="committed", order=5, again=True, at=tried)
    redoing = "import-7-5-2026-03-01T12:30"
    assert prefect.runs[redoing]["parameters"] == {"import_id": 7, "order": 5}
    assert prefect.flows[redoing] == "redo-import"


def test_a_comparison_of_payments_is_started_by_its_number(prefect: type[Prefect]) -> None:
    assert flow_runs.start_comparing(3, at=datetime(2026, 3, 1, 12, 30, tzinfo=UTC))
    key = "payments-3-2026-03-01T12:30"
    assert (prefect.runs[key]["parameters"], prefect.flows[key]) == ({"comparison_id": 3}, "reconcile-payments")


def test_a_check_is_started_by_its_number(prefect: type[Prefect]) -> None:
    assert flow_runs.start_checking(3, at=datetime(2026, 3, 1, 12, 30, tzinfo=UTC))
    key = "checks-3-2026-03-01T12:30"
    assert (prefect.runs[key]["parameters"], prefect.flows[key]) == ({"run_id": 3}, "validate-contacts")


def test_however_much_waits_a_slow_prefect_holds_the_screens_up_for_seconds_only(
    prefect: type[Prefect], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefect, "pause", 0.1)
    monkeypatch.setattr(flow_runs, "WINDOW", 60)
    began = time.monotonic()
    started = [flow_runs.start_import(number, until="planned", order=1) for number in range(60)]
    assert time.monotonic() - began < 9  # all of them would take twelve
    assert started == sorted(started, reverse=True), "and none after the first that was not asked for"
    assert 0 < sum(started) < 60
    monkeypatch.setattr(flow_runs, "WINDOW", 0)
    assert flow_runs.start_import(99, until="planned", order=1), "the next window"


def test_one_that_does_not_answer_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow_runs, "PATIENCE", 0.5)
    monkeypatch.setattr(flow_runs, "LONGEST", 0.4)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/api")
        began = time.monotonic()
        assert not any(flow_runs.start_export(number) for number in range(20))
        assert time.monotonic() - began < 8  # all of them would take ten
