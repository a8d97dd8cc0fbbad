"""The flows in a work pool, with Prefect's server and two workers: one dies in the middle, the work is done once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from deploy.parts import POOL
from models import credits, flow_runs, flow_schedules, jobs
from models.database import writing
from models.flow_runs import RunState
from models.payments import orders, reconciliations
from models.permissions import OPERATOR, Role
from pipelines import schedule
from tests import razorpay as standin
from tests.deploy.parts_running import Parts, parts_of
from tests.people import person
from tests.razorpay import Razorpay

# What `python -m pipelines.sweep` does of runs, without its pauses.
SWEEP = """
import time
from datetime import timedelta
from models import flow_runs
from pipelines import deployments, zombies
from pipelines.own_database import bind_database
flow_runs.GONE = timedelta(seconds=2)
bind_database()
while True:
    deployments.start_due()
    deployments.start_asked()
    zombies.end_gone()
    time.sleep(0.5)
"""


@pytest.fixture
def razorpay(db: str) -> Iterator[Razorpay]:
    with standin.serving() as made, standin.used(made):
        yield made


@pytest.fixture
def parts(db: str, razorpay: Razorpay, tmp_path: Path) -> Iterator[Parts]:
    with parts_of(db, tmp_path) as made:
        made.prefect()
        yield made


def worker(parts: Parts, name: str, *, host: str) -> None:
    parts.python(name, "-m", "pipelines.pool_worker", POOL, "--name", name, "--limit", "1", host=host)


def runs() -> list[flow_runs.Run]:
    return list(reversed(flow_runs.page(flow="reconcile-payments", by=OPERATOR)))


def test_two_workers_share_the_work_and_what_one_dies_with_the_other_does(parts: Parts, razorpay: Razorpay) -> None:
    ann = person(email="ann@example.com", name="Ann", role=Role.ADMIN).actor()
    razorpay.pay(orders.create("pack-100", by=ann).razorpay_id)  # nobody told us of it
    parts.python("deployed", "-m", "pipelines.deploy_to_pool", POOL)
    assert parts.ended("deployed") == 0, parts.said()
    assert {"import-contacts/default", "reconcile-payments/scheduled"} <= set(parts.log("deployed").decode().split())
    assert {one.flow for one in flow_schedules.listed(by=OPERATOR)} == {one.flow for one in schedule.SCHEDULE}
    with writing(OPERATOR) as session:  # what is scheduled waits first, and longer
        session.execute(
            text("UPDATE flow_schedules SET next_at = now() - interval '1 hour' WHERE flow = 'reconcile-payments'")
        )
    parts.python("sweep", "-c", SWEEP)
    parts.until("it was started", lambda: not flow_schedules.due())
    jobs.run("reconcile-payments", by=ann)
    parts.until("it was asked for", lambda: not flow_schedules.asked())

    with razorpay.lock:  # nobody is answered
        worker(parts, "first", host="host-1")
        parts.until("the first one works", lambda: [run for run in runs() if run.state is RunState.RUNNING])
        [first] = runs()
        assert (first.scheduled, first.asker) == (False, "Ann"), "what a person waits for goes first"
        worker(parts, "second", host="host-2")
        parts.kill("first")
        parts.until("it was noticed", lambda: runs()[0].state is RunState.CRASHED)
    parts.until("the second one did it", lambda: RunState.DONE in [run.state for run in runs()])
    done = [run for run in runs() if run.state is RunState.DONE]
    assert [run.counts["mended"] for run in done][:1] == [1]
    assert sum(run.counts["mended"] for run in done) == 1
    assert credits.balance(by=ann).lasting == 100
    comparison = reconciliations.latest(by=OPERATOR)
    assert comparison is not None
    assert comparison.state == reconciliations.DONE
