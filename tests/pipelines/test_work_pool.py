"""The flows in a work pool, with Prefect's server and two workers: one dies in the middle, the work is done once."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import text

from models import credits, flow_runs, flow_schedules, jobs
from models.database import writing
from models.flow_runs import RunState
from models.payments import orders, reconciliations
from models.permissions import OPERATOR, Role
from pipelines import schedule
from tests import razorpay as standin
from tests.people import person
from tests.razorpay import Razorpay

ROOT = Path(__file__).parents[2]
POOL = "appointment360"
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


@dataclass
class Machines:
    """Prefect's server and whoever works for it, each a process with its own log."""

    folder: Path
    environment: dict[str, str]
    started: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def start(self, name: str, *arguments: str) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            self.started[name] = subprocess.Popen(
                [sys.executable, *arguments], env=self.environment, cwd=self.folder, stdout=log, stderr=log
            )

    def worker(self, name: str) -> None:
        options = ("--pool", POOL, "--type", "process", "--name", name, "--limit", "1")
        self.start(name, "-m", "prefect", "worker", "start", *options)

    def kill(self, name: str) -> None:
        """With all that it started, as when its power fails."""
        started = self.started.pop(name)
        process = psutil.Process(started.pid)
        for one in [process, *process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        started.wait()

    def said(self) -> str:
        return "\n".join(f"{log.name}: {log.read_text()[-3000:]}" for log in sorted(self.folder.glob("*.log")))

    def until(self, what: str, condition: Callable[[], Any]) -> Any:
        end = time.monotonic() + 120
        while not (found := condition()):
            assert time.monotonic() < end, f"never happened: {what}\n{self.said()}"
            time.sleep(0.1)
        return found


@pytest.fixture
def razorpay(db: str) -> Iterator[Razorpay]:
    with standin.serving() as made, standin.used(made):
        yield made


@pytest.fixture
def machines(db: str, razorpay: Razorpay, tmp_path: Path) -> Iterator[Machines]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment = own | {
        "DATABASE_URL": db,
        "APPOINTMENT360_HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
    }
    made = Machines(tmp_path, environment)
    made.start("prefect", "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port))

    def answers() -> bool:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=2):
            return True
        return False

    try:
        made.until("Prefect answers", answers)
        yield made
    finally:
        for name in list(made.started):
            made.kill(name)


def runs() -> list[flow_runs.Run]:
    return list(reversed(flow_runs.page(flow="reconcile-payments", by=OPERATOR)))


def test_two_workers_share_the_work_and_what_one_dies_with_the_other_does(
    machines: Machines, razorpay: Razorpay
) -> None:
    ann = person(email="ann@example.com", name="Ann", role=Role.ADMIN).actor()
    razorpay.pay(orders.create("pack-100", by=ann).razorpay_id)  # nobody told us of it
    deployed = subprocess.run(
        [sys.executable, "-m", "pipelines.deploy_to_pool", POOL],
        env=machines.environment, cwd=machines.folder, capture_output=True, text=True,
    )  # fmt: skip
    assert deployed.returncode == 0, deployed.stderr
    assert {"import-contacts/default", "reconcile-payments/scheduled"} <= set(deployed.stdout.split())
    assert {one.flow for one in flow_schedules.listed(by=OPERATOR)} == {one.flow for one in schedule.SCHEDULE}
    with writing(OPERATOR) as session:  # what is scheduled waits first, and longer
        session.execute(
            text("UPDATE flow_schedules SET next_at = now() - interval '1 hour' WHERE flow = 'reconcile-payments'")
        )
    machines.start("sweep", "-c", SWEEP)
    machines.until("it was started", lambda: not flow_schedules.due())
    jobs.run("reconcile-payments", by=ann)
    machines.until("it was asked for", lambda: not flow_schedules.asked())

    with razorpay.lock:  # nobody is answered
        machines.worker("first")
        machines.until("the first one works", lambda: [run for run in runs() if run.state is RunState.RUNNING])
        [first] = runs()
        assert (first.scheduled, first.asker) == (False, "Ann"), "what a person waits for goes first"
        machines.worker("second")
        machines.kill("first")
        machines.until("it was noticed", lambda: runs()[0].state is RunState.CRASHED)
    machines.until("the second one did it", lambda: RunState.DONE in [run.state for run in runs()])
    done = [run for run in runs() if run.state is RunState.DONE]
    assert [run.counts["mended"] for run in done][:1] == [1]
    assert sum(run.counts["mended"] for run in done) == 1
    assert credits.balance(by=ann).lasting == 100
    comparison = reconciliations.latest(by=OPERATOR)
    assert comparison is not None
    assert comparison.state == reconciliations.DONE
