"""`appointment360 up`, left alone with every schedule set to each minute: each flow runs and ends well, a backup is
proven by its drill, the report finds a planted slow query and a planted unused index, and a planted fault of the data
is found and mailed."""

import email
import shutil
import tempfile
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deploy import embedded_postgres
from pipelines.schedule import SCHEDULE
from tests.deploy.test_up import LONGEST, Machine
from tests.pipelines.test_report_performance import PLANT
from tests.waiting import until

SLOW = "SELECT id, colour FROM planted WHERE code = %s"
FAULT = "UPDATE contacts SET email = 'nobody at all' WHERE id = (SELECT min(id) FROM contacts)"


class Alone(Machine):
    """Its flows run each minute."""

    @property
    def environment(self) -> dict[str, str]:
        each = {f"APPOINTMENT360_SCHEDULE_{one.flow.replace('-', '_').upper()}": "* * * * *" for one in SCHEDULE}
        return {**super().environment, **each}

    def sql(self, statement: str, *values: Any) -> list[Any]:
        """Asked beside it: a command each time would keep both cores from what is waited for."""
        server = embedded_postgres.start_or_join(self.home)
        try:
            with psycopg.connect(server.url(driver=""), autocommit=True) as connection:
                return connection.execute(statement, values).fetchall()
        finally:
            server.release()

    def mails(self) -> list[EmailMessage]:
        folder = self.home / "outbox"
        return [email.message_from_bytes(one.read_bytes(), policy=default) for one in folder.glob("*.eml")]


@pytest.fixture(scope="module")
def machine() -> Iterator[Alone]:
    folder = Path(tempfile.mkdtemp(prefix="appointment360-")).resolve()
    folder.chmod(0o755)
    made = Alone(folder / "home")
    try:
        made.start("--sample")
        plant(made.home)
        yield made
    finally:
        made.kill()
        shutil.rmtree(folder, ignore_errors=True)


def plant(home: Path) -> None:
    server = embedded_postgres.start_or_join(home)
    try:
        with psycopg.connect(server.url(driver=""), autocommit=True) as connection:
            connection.execute(PLANT)
            for number in range(60):
                connection.execute(SLOW, [f"code {number}"], prepare=False)
            connection.execute(FAULT)
    finally:
        server.release()


@pytest.mark.parametrize("flow", [one.flow for one in SCHEDULE])
def test_each_flow_runs_by_itself(machine: Alone, flow: str) -> None:
    ended = "SELECT FROM flow_runs WHERE flow = %s AND state <> 'running'"
    log = machine.home / "logs" / "runner.log"
    until(f"{flow} ended", lambda: machine.sql(ended, flow), lambda: log.read_text()[-5000:], within=LONGEST)
    for run in machine.json("jobs", "runs", "--job", flow)["runs"]:
        assert run["scheduled"]
        assert (run["state"], run["error"]) in (("done", None), ("running", None))


def test_the_backup_is_proven(machine: Alone) -> None:
    proven = "SELECT FROM backups WHERE drill = 'matches'"
    until("one is proven", lambda: machine.sql(proven), lambda: str(machine.json("backups")), within=LONGEST)
    [first, *_] = [one for one in machine.json("backups")["backups"] if one["state"] == "proven"]
    assert first["rows"] > machine.json("count")["count"]


def test_the_report_finds_what_was_planted(machine: Alone) -> None:
    [[found]] = machine.sql("SELECT body FROM performance_reports ORDER BY id LIMIT 1")
    subjects = {(one["kind"], one["subject"]) for one in found["findings"]}
    assert {("missing index", "planted (code)"), ("unused index", "planted_said")} <= subjects


def test_the_fault_is_found_and_mailed(machine: Alone) -> None:
    def told() -> Any:
        return [one for one in machine.mails() if "E-mail is an e-mail address" in one.get_content()]

    [mail, *_] = until("it is mailed", told, lambda: str([one["subject"] for one in machine.mails()]), within=LONGEST)
    assert mail["to"] == "Administrator <root@example.com>"
    assert machine.json("count", "--where", "check=email_is_an_address") == {"count": 1}
