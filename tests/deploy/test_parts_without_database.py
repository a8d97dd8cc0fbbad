"""What the parts log, for machines, while their database is away and when it is back."""

import json
from pathlib import Path
from typing import Any

import httpx

from models import flow_runs, jobs
from models.flow_runs import RunState
from models.permissions import OPERATOR, Role
from tests.deploy.parts_running import SIGN_IN, Parts, parts_of, status
from tests.door import door_before
from tests.people import person

MOST = 100  # lines of a part, of an outage in which a worker gives up once


def lines(parts: Parts, name: str) -> list[dict[str, Any]]:
    """Each of its lines has to be one JSON object."""
    found = []
    for line in parts.log(name).decode().splitlines():
        assert line.startswith("{"), (name, line)
        found.append(json.loads(line))
    return found


def test_every_line_of_every_part_is_json(db: str, tmp_path: Path) -> None:
    names = ("prefect", "web", "worker")
    ann = person(email="ann@example.com", name="Ann", role=Role.ADMIN).actor()
    with door_before(db) as (door, url), parts_of(url, tmp_path, APPOINTMENT360_LOG_FORMAT="json") as parts:
        parts.prefect()
        address = parts.web("web")
        parts.worker("worker")
        jobs.run("reconcile-payments", by=ann)
        parts.until("the flow ran", lambda: [one.state for one in flow_runs.page(by=OPERATOR)] == [RunState.DONE])
        before = {name: len(lines(parts, name)) for name in names}
        door.shut()
        parts.until("the web is away", lambda: status(f"{address}/readyz") == 503)
        parts.until("the worker has ended once", lambda: b"ended with code 1" in parts.log("worker"))
        outage = {name: len(lines(parts, name)) - before[name] for name in names}
        door.open()
        parts.until("the web is ready", lambda: status(f"{address}/readyz") == 200)
        parts.until("the worker takes runs", lambda: parts.log("worker").count(b"started!") == 2)
        for name in names:
            parts.signal(name)
            parts.ended(name)
        found = {name: lines(parts, name) for name in names}
    assert all(0 < outage[name] < MOST for name in names), outage
    assert {one["part"] for one in found["worker"]} == {"supervisor", "worker", "flow"}
    for name in ("prefect", "web"):
        assert {one["part"] for one in found[name]} == {name}
    said = [one["event"] for one in found["web"]]
    assert f"ready at {address}" in said
    assert "told to end by SIGTERM: what was asked is answered first" in said
    of_the_outage = [one for name in names for one in found[name] if "Connection refused" in one["event"]]
    assert of_the_outage
    assert not [one for one in of_the_outage if "errors" in one], "where it was met says nothing"


def test_what_keeps_a_part_from_starting_is_json(db: str, tmp_path: Path) -> None:
    told = {"APPOINTMENT360_LOG_FORMAT": "json", "APPOINTMENT360_PREFECT_URL": ""}
    with parts_of(db, tmp_path, **told) as parts:
        parts.start("worker", "run", "worker")
        assert parts.ended("worker") == 1
        [line] = lines(parts, "worker")
    assert line["event"].startswith("A worker needs Prefect's server: set APPOINTMENT360_PREFECT_URL")


def test_prefect_serves_no_list_of_what_it_does_without_its_password(db: str, tmp_path: Path) -> None:
    with parts_of(db, tmp_path) as parts:
        parts.prefect()
        address = f"http://127.0.0.1:{parts.prefect_port}"
        for path in ("/docs", "/redoc", "/openapi.json"):
            assert httpx.get(f"{address}{path}").status_code == 401
            assert httpx.get(f"{address}{path}", auth=("appointment360", "another")).status_code == 401
            assert httpx.get(f"{address}{path}", auth=tuple(SIGN_IN.split(":"))).status_code == 200
