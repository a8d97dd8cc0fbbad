"""What is kept of a run of a flow: how it ended, what it counted, who is told, and that it ends where it is stopped."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select, update

from models import flow_runs, flow_schedules, jobs
from models.database import writing
from models.errors import InvalidInput
from models.flow_runs import FlowRun, Run, RunState
from models.flow_schedules import Entry
from models.mails import Kind, Mail
from models.permissions import OPERATOR, Role
from pipelines.heart import RunsAlready
from pipelines.recorded import PREFECT_RUN, NotDue, carry_out, recorded
from tests.people import person
from tests.waiting import until

FLOW = "back-up"
ROOT = Path(__file__).parents[2]


def newest() -> Run:
    found = flow_runs.last(FLOW, by=OPERATOR)
    assert found is not None
    return found


def mails() -> list[tuple[str, Any]]:
    with writing(OPERATOR) as session:
        found = session.execute(select(Mail.email, Mail.details).where(Mail.kind == Kind.FLOW_FAILED))
        return [(email, details) for email, details in found]


def failed(sentence: str = "The disk is full: make room.", **given: Any) -> None:
    with pytest.raises(InvalidInput), recorded(FLOW, **given):
        raise InvalidInput(sentence)


@pytest.fixture
def admins(db: str) -> None:
    for name, role in (("ann", Role.ADMIN), ("bob", Role.ADMIN), ("mia", Role.MANAGER)):
        person(email=f"{name}@example.com", name=name, role=role)


def test_what_a_run_counted_stands_with_how_it_ended(db: str) -> None:
    with recorded(FLOW, subject="backup 7", scheduled=True) as run:
        under_way = newest()
        run.tell(rows=12)
        run.tell(bytes=4096)
    done = newest()
    assert (under_way.state, under_way.ended_at) == (RunState.RUNNING, None)
    assert (done.state, done.counts, done.subject) == (RunState.DONE, {"rows": 12, "bytes": 4096}, "backup 7")
    assert (done.scheduled, done.error) == (True, None)
    assert done.ended_at is not None
    assert done.seconds == pytest.approx((done.ended_at - done.started_at).total_seconds(), abs=0.001)


def test_what_it_says_is_seen_while_it_runs(db: str) -> None:
    with recorded(FLOW) as run:
        run.says("dumping", 3, 10)
        run.tell(tables=3)
        end = time.monotonic() + 20
        while (seen := newest()).step is None:
            assert time.monotonic() < end
            time.sleep(0.05)
    assert (seen.step, seen.done, seen.total, seen.counts) == ("dumping", 3, 10, {"tables": 3})
    assert (newest().step, newest().done) == (None, None)


def test_a_failure_is_stored_raised_on_and_mailed_once_until_it_goes_well(admins: None) -> None:
    failed()
    failed()
    assert (newest().state, newest().error) == (RunState.FAILED, "The disk is full: make room.")
    told = {"flow": FLOW, "error": "The disk is full: make room."}
    assert mails() == [("ann@example.com", told), ("bob@example.com", told)]
    with recorded(FLOW):
        pass
    failed("The disk is full again.")
    assert len(mails()) == 4


def test_whoever_asked_sees_a_refusal_themselves(admins: None) -> None:
    failed(asked_by=1)
    assert newest().state == RunState.FAILED
    assert mails() == []


def test_a_fault_of_ours_is_told_with_a_reference(admins: None, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ZeroDivisionError), recorded(FLOW, asked_by=1):
        print(1 / 0)
    error = newest().error or ""
    assert error.startswith("Something went wrong on our side. Reference ")
    assert error.removesuffix(".")[-8:] in caplog.text
    assert len(mails()) == 2


def test_one_at_a_time(db: str) -> None:
    with recorded(FLOW, alone=True):
        with pytest.raises(RunsAlready, match="back-up runs already"), recorded(FLOW, alone=True):
            pass
        with recorded("report-performance", alone=True):
            pass
    with recorded(FLOW, alone=True):
        pass
    assert len(flow_runs.page(flow=FLOW, by=OPERATOR)) == 2


def test_what_comes_by_schedule_does_nothing_where_it_rests_runs_or_was_made_up(db: str) -> None:
    def scheduled() -> bool:
        return carry_out(FLOW, lambda run: None, scheduled=True)

    assert not scheduled(), "it is not in the table"
    flow_schedules.write([Entry(FLOW, "0 2 * * *", "UTC", "Makes another one.")])
    with recorded(FLOW, alone=True):
        assert not scheduled()
    assert scheduled()
    assert not scheduled(), "three that were missed come at once"
    with pytest.raises(NotDue, match="ran since"), recorded(FLOW, scheduled=True, alone=True):
        pass  # another machine waited for the first one to let go of the flow
    assert carry_out(FLOW, lambda run: None, asked_by=1), "somebody asks for it all the same"
    with writing(OPERATOR) as session:
        session.execute(update(FlowRun).values(started_at=func.now() - func.make_interval(0, 0, 0, 2)))
    assert scheduled()
    flow_schedules.pause(FLOW, by=OPERATOR)
    with writing(OPERATOR) as session:
        session.execute(update(FlowRun).values(started_at=func.now() - func.make_interval(0, 0, 0, 2)))
    assert not scheduled()
    flow_schedules.write([Entry(FLOW, "0 2 * * *", "UTC", "Makes another one.")])
    assert not scheduled(), "it rests also after the runner started again"
    flow_schedules.resume(FLOW, by=OPERATOR)
    assert scheduled()


def test_what_was_asked_for_is_the_run_that_waited(admins: None) -> None:
    flow_schedules.write([Entry(FLOW, "0 2 * * *", "UTC", "Makes another one.")])
    run = jobs.run(FLOW, by=OPERATOR)
    with writing(OPERATOR) as session:
        session.execute(update(FlowRun).values(started_at=func.now() - func.make_interval(0, 0, 0, 2)))
    assert carry_out(FLOW, lambda noted: noted.tell(rows=3), noted=run)
    [done] = flow_runs.page(by=OPERATOR)
    assert (done.id, done.state, done.counts) == (run, RunState.DONE, {"rows": 3})
    assert done.seconds < 60, "it took what it ran, not what it waited"
    assert carry_out(FLOW, lambda noted: None, noted=run), "a machine died with it: it is done again"
    assert [one.id for one in flow_runs.page(by=OPERATOR)][1] == run
    cancelled = jobs.run(FLOW, by=OPERATOR)
    jobs.cancel(cancelled, by=OPERATOR)
    assert not carry_out(FLOW, lambda noted: None, noted=cancelled)
    assert newest().state is RunState.CANCELLED


def test_what_was_asked_for_beside_another_is_refused_at_once_and_nobody_is_mailed(admins: None) -> None:
    flow_schedules.write([Entry(FLOW, "0 2 * * *", "UTC", "Makes another one.")])
    run = jobs.run(FLOW, by=OPERATOR)
    with recorded(FLOW, alone=True):
        assert not carry_out(FLOW, lambda noted: None, noted=run)
        assert not carry_out(FLOW, lambda noted: None), "started in Prefect's own screens"
        refused = [one for one in flow_runs.page(by=OPERATOR) if one.state is RunState.FAILED]
    assert [one.id for one in refused][-1] == run
    for one in refused:
        assert (one.error or "").startswith("back-up runs already")
        assert one.seconds < 5
    assert len(refused) == 2
    assert mails() == []


def test_in_prefect_the_steps_and_what_was_counted_are_lines_of_its_log(
    db: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> int:
        with recorded(FLOW) as run:
            for done in range(3):
                run.says("reading the database out", done, 3)
            run.tell(rows=1686, restore_seconds=0.4, proven=True)
        with suppress(InvalidInput), recorded(FLOW):
            raise InvalidInput("The disk is full: make room.")
        return run.id

    work()
    assert capsys.readouterr().out == "", "a command prints what it wants to"
    monkeypatch.setenv(PREFECT_RUN, str(uuid4()))
    number = work()
    assert capsys.readouterr().out.splitlines() == [
        "Reading the database out …",
        "rows: 1,686, restore seconds: 0.4, proven: yes",
        f"Run {number} is done.",
        f"Run {number + 1} is failed: The disk is full: make room.",
    ]


PROGRAM = """
import os, subprocess, sys, time
from pipelines.own_database import bind_database
from pipelines.recorded import recorded
bind_database()
with recorded("back-up") as run:
    print("runs", flush=True)
    {work}
"""


@pytest.fixture
def working(db: str) -> Iterator[Any]:
    """`working(code)` is a process that runs the flow, once it does."""
    started: list[subprocess.Popen[str]] = []

    def start(work: str) -> subprocess.Popen[str]:
        program = [sys.executable, "-c", PROGRAM.format(work=work)]
        child = subprocess.Popen(
            program, env={**os.environ, "DATABASE_URL": db, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True
        )
        started.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == "runs\n"
        return child

    yield start
    for child in started:
        child.kill()
        child.communicate()


def _quiet_for(seconds: float) -> None:
    with writing(OPERATOR) as session:
        session.execute(update(FlowRun).values(heartbeat_at=func.now() - func.make_interval(0, 0, 0, 0, 0, 0, seconds)))


def test_a_run_whose_process_is_gone_has_crashed(admins: None, working: Any) -> None:
    child = working("time.sleep(600)")
    _quiet_for(60)
    assert flow_runs.end_gone() == [], "its process holds it, whatever it does"
    child.kill()
    child.wait()
    _quiet_for(20)
    assert flow_runs.end_gone() == [], "the server may have lost it only for a moment"
    _quiet_for(60)
    [gone] = until("the server noticed", flow_runs.end_gone)
    assert (gone.run_id, gone.state, gone.crashes) == (newest().id, RunState.CRASHED, 1)
    assert newest().state == RunState.CRASHED
    assert mails() == [], "it is done again"
    for crashes in (2, 3):
        flow_runs.begin(FLOW)
        _quiet_for(60)
        assert [gone.crashes for gone in flow_runs.end_gone()] == [crashes]
    assert len(mails()) == 2


def test_a_run_that_was_taken_for_crashed_and_lives_goes_on(db: str) -> None:
    with recorded(FLOW) as run:
        _quiet_for(600)
        assert [gone.run_id for gone in flow_runs.end_gone()] == [run.id], "its machine does not answer"
        run.tell(rows=1)
        end = time.monotonic() + 20
        while newest().state != RunState.RUNNING:
            assert time.monotonic() < end
            time.sleep(0.05)
    assert newest().state == RunState.DONE


def test_what_is_ended_with_its_machine_is_left_for_the_next_one(db: str, working: Any) -> None:
    child = working("signal = __import__('signal'); signal.signal(15, lambda *_: sys.exit(1)); time.sleep(600)")
    time.sleep(0.5)
    child.send_signal(signal.SIGTERM)
    child.wait()
    assert newest().state == RunState.RUNNING
    _quiet_for(60)
    assert [gone.state for gone in until("the server noticed", flow_runs.end_gone)] == [RunState.CRASHED]


def test_who_stops_it_at_the_terminal_has_cancelled_it(db: str) -> None:
    with pytest.raises(KeyboardInterrupt), recorded(FLOW):
        raise KeyboardInterrupt
    assert newest().state == RunState.CANCELLED


@pytest.mark.parametrize(
    "work", ["subprocess.run(['sleep', '600'])", "[one for one in iter(int, 1)]"], ids=["a child", "a loop"]
)
def test_what_somebody_stops_ends_whatever_it_waits_for(db: str, working: Any, work: str) -> None:
    flow_schedules.write([Entry(FLOW, "0 2 * * *", "UTC", "Makes another one.")])
    child = working(work)
    jobs.cancel(newest().id, by=OPERATOR)
    child.wait(timeout=30)
    assert newest().state == RunState.CANCELLED
