"""Jobs on their screen: what runs, what is next, what ran, and what people do with them."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, func, update
from streamlit.testing.v1 import AppTest

from dashboard.widgets.job_words import counts
from models import flow_runs, flow_schedules
from models.database import writing
from models.flow_runs import FlowRun, RunState
from models.flow_schedules import Entry, FlowSchedule
from models.permissions import OPERATOR, Role
from tests.dashboard.conftest import Site

Screen = Callable[..., AppTest]
PREFECT_ID = "86a2f2e2-ba55-4e38-9db9-12512e5b9ec4"


@pytest.fixture(autouse=True)
def schedules(site: Site) -> None:
    """Each test begins with two schedules and nothing that ran."""
    with writing(OPERATOR) as session:
        session.execute(delete(FlowRun))
    flow_schedules.write([])
    flow_schedules.write([
        Entry("back-up", "0 2 * * *", "Asia/Kolkata", "Makes another one."),
        Entry("validate-contacts", None, "UTC", "Checks once more."),
    ])  # fmt: skip


class Prefect(BaseHTTPRequestHandler):
    """Stands in for the route of Prefect 3.8's server that tells logs, with its answer's shape."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        there = self.path == "/api/logs/filter" and body["logs"]["flow_run_id"]["any_"] == [PREFECT_ID]
        lines = [
            {"timestamp": f"2026-11-27T01:30:0{second}Z", "level": level, "message": message}
            for second, level, message in ((9, 40, "Finished in state Failed()"), (8, 20, "3 of 40 tables"))
        ]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(lines if there else []).encode())

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def prefect(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Prefect)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("PREFECT_API_URL", f"{address}/api")
    yield address
    server.shutdown()
    server.server_close()


def shown(test: AppTest) -> str:
    assert not test.exception, test.exception
    kinds = (test.markdown, test.caption, test.error, test.toast, test.subheader, test.code)
    return "\n".join(one.value.replace("\\", "") for kind in kinds for one in kind)


def button(test: AppTest, label: str) -> Any:
    return next(one for one in test.button if one.label == label)


def selected(test: AppTest, table: int, row: int) -> AppTest:
    states = test._tree.get_widget_states()
    chosen = {"selection": {"rows": [row], "columns": [], "cells": []}}
    states.widgets.add(id=test.dataframe[table].proto.id).string_value = json.dumps(chosen)
    return test._run(states)


def test_a_schedule_is_run_paused_and_resumed(screen: Screen) -> None:
    test = screen(Role.ADMIN, at="jobs")
    assert list(test.dataframe[0].value["kind"]) == [["On"], ["Off"]]
    assert button(test, "Run now").disabled
    assert "times in the time zone Asia/Kolkata" in shown(test)
    assert '"timezone": "Asia/Kolkata"' in test.dataframe[0].proto.columns
    test = selected(test, 0, 0)
    assert "a second run: Makes another one." in shown(test)
    assert "APPOINTMENT360_SCHEDULE_BACK_UP" in shown(test)
    button(test, "Run now").click().run()
    assert [wish.flow for wish in flow_schedules.asked()] == ["back-up"]
    [waits] = flow_runs.under_way(by=OPERATOR)
    assert f"Back up begins within seconds, as run {waits.id}." in shown(test)
    assert "**Back up** · for An admin · waits to begin" in shown(test)
    assert list(test.dataframe[0].value["kind"]) == [["Asked for"], ["Off"]]
    flow_schedules.take_asked(flow_schedules.asked()[0])
    assert list(screen(Role.ADMIN, at="jobs").dataframe[0].value["kind"]) == [["Asked for"], ["Off"]]
    button(test, "Cancel").click().run()
    button(selected(test, 0, 0), "Pause").click().run()
    assert [one.paused_by for one in flow_schedules.listed(by=OPERATOR)] == ["An admin", None]
    button(selected(test, 0, 0), "Resume").click().run()
    assert [one.paused for one in flow_schedules.listed(by=OPERATOR)] == [False, False]


def test_what_is_due_and_waits_is_shown(screen: Screen) -> None:
    with writing(OPERATOR) as session:
        late = func.now() - timedelta(days=1)
        session.execute(update(FlowSchedule).where(FlowSchedule.flow == "back-up").values(waits_since=late))
    test = screen(Role.ADMIN, at="jobs")
    assert list(test.dataframe[0].value["kind"]) == [["Waits"], ["Off"]]
    assert "it waits until others are done" in shown(selected(test, 0, 0))


def test_what_runs_shows_how_far_it_is_and_is_stopped(screen: Screen) -> None:
    run = flow_runs.begin("back-up", scheduled=True)
    with writing(OPERATOR) as session:
        stored = session.get_one(FlowRun, run)
        stored.step, stored.done, stored.total = "dumping", 1200, 4800
    test = screen(Role.ADMIN, at="jobs")
    assert "Back up · by schedule · for" in shown(test).replace("*", "")
    button(test, "Cancel").click().run()
    assert flow_runs.get(run, by=OPERATOR).cancelled_at is not None
    assert button(test, "Stops …").disabled
    flow_runs.end(run, RunState.CANCELLED)
    assert "Cancelled by An admin, by schedule" in shown(selected(test.run(), 1, 0))


def test_counts_are_told_in_words() -> None:
    told = {"contacts": 2, "industries": 1, "rows": 1, "mended": 1, "left": 0, "report": 12, "bytes": 1}
    assert counts(told) == "report 12, 2 contacts, 1 industry, 1 row, 1 mended, 1 B"


def test_a_run_that_failed_tells_why_with_its_log_and_is_done_again(screen: Screen, prefect: str) -> None:
    done = flow_runs.begin("back-up", scheduled=True)
    counted = {"backup": 3, "rows": 1200, "tables": 1, "bytes": 34_000_000, "restore_seconds": 0.4, "left": 0}
    flow_runs.end(done, RunState.DONE, counts={**counted, "proven": False})
    failed = flow_runs.begin("back-up", prefect_id=UUID(PREFECT_ID), asked_by=None)
    flow_runs.end(failed, RunState.FAILED, error="The disk is full: make room.")
    test = screen(Role.ADMIN, at="jobs")
    assert list(test.dataframe[1].value["state"]) == [["Failed"], ["Done"]]
    told = "backup 3, 1,200 rows, 34 MB, 1 table, restore 0.4 s, not proven"
    assert list(test.dataframe[1].value["counts"]) == ["", told]
    assert list(test.dataframe[1].value["about"])[1] == "backup 3"
    test = selected(test, 1, 0)
    assert "The disk is full: make room." in shown(test)
    assert "01:30:08  info     3 of 40 tables\n01:30:09  error    Finished in state Failed()" in shown(test)
    button(test, "Retry").click().run()
    assert [wish.flow for wish in flow_schedules.asked()] == ["back-up"]
    links = [one.proto.url for one in test.get("link_button")]
    assert "/prefect/v2/dashboard" in links


def test_the_address_says_what_is_looked_for(screen: Screen) -> None:
    for flow, state in (
        ("back-up", RunState.DONE),
        ("export-contacts", RunState.FAILED),
        ("export-contacts", RunState.DONE),
    ):
        flow_runs.end(flow_runs.begin(flow), state)
    assert len(screen(Role.ADMIN, at="jobs", job="export-contacts").dataframe[1].value) == 2
    both = screen(Role.ADMIN, at="jobs", job="export-contacts", state="failed")
    assert list(both.dataframe[1].value["job"]) == ["Export contacts"]
    assert "Nothing like this ran." in shown(screen(Role.ADMIN, at="jobs", state="crashed"))
    assert "This address cannot be read" in shown(screen(Role.ADMIN, at="jobs", state="broken"))


def test_before_the_runner_has_started_it_says_so(screen: Screen) -> None:
    flow_schedules.write([])
    assert "Nothing is scheduled yet" in shown(screen(Role.ADMIN, at="jobs"))
