"""The parts by themselves: `migrate`, `run web`, `run prefect`, `run worker`, each a process on one Postgres."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from deploy.embedded_postgres import Server
from models import credits, flow_runs, jobs, migrations
from models.database import libpq_url
from models.flow_runs import RunState
from models.payments import orders
from models.permissions import OPERATOR, Actor, Role
from tests import razorpay as standin
from tests.certificates import self_signed
from tests.deploy.command_line import COMMAND, PROJECT, Cli
from tests.deploy.parts_running import Parts, parts_of, status
from tests.deploy.tls_front import tls_before
from tests.people import person
from tests.razorpay import Razorpay
from tests.systemd_standin import listening


@pytest.fixture
def razorpay(db: str) -> Iterator[Razorpay]:
    with standin.serving() as made, standin.used(made):
        yield made


@pytest.fixture
def parts(db: str, tmp_path: Path) -> Iterator[Parts]:
    with parts_of(db, tmp_path) as made:
        yield made


@pytest.fixture
def empty(postgres: Server) -> Iterator[str]:
    """The URL of a database that nobody migrated."""
    url = make_url(postgres.url("fresh")).render_as_string(hide_password=False)
    with psycopg.connect(postgres.url("postgres", driver=""), autocommit=True) as connection:
        connection.execute("CREATE DATABASE fresh")
        yield url
        connection.execute("DROP DATABASE fresh WITH (FORCE)")
        connection.execute("DROP DATABASE IF EXISTS prefect WITH (FORCE)")


def test_migrate_four_times_at_once(empty: str, tmp_path: Path) -> None:
    """As when every host of an upgrade runs it: all succeed, and one of them makes the administrator."""
    cli = Cli(empty, tmp_path, {"APPOINTMENT360_ADMIN_PASSWORD": "correct horse battery"})
    begun = [cli.start("migrate", "--json") for _ in range(4)]
    said = [one.communicate() for one in begun]
    assert [one.returncode for one in begun] == [0] * 4, said
    assert sum('"administrator": "admin@example.com"' in out for out, _ in said) == 1
    assert all(f'"schema": "{migrations.newest()}"' in out for out, _ in said)
    with psycopg.connect(libpq_url(empty), dbname="prefect") as its:
        [[extensions]] = its.execute("SELECT count(*) FROM pg_extension WHERE extname = 'pg_trgm'").fetchall()
    assert extensions == 1
    again = cli("migrate")
    assert (again.code, again.out.strip()) == (
        0, f"The database has the schema {migrations.newest()}, which this program needs.",
    )  # fmt: skip


def test_a_part_says_what_it_lacks(db: str, tmp_path: Path) -> None:
    own = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    cli = Cli(db, tmp_path, {"APPOINTMENT360_PREFECT_URL": ""})

    def refused(*arguments: str) -> str:
        ended = cli(*arguments)
        assert ended.code == 1
        return ended.err

    assert "set APPOINTMENT360_PREFECT_URL" in refused("run", "worker")
    assert "set APPOINTMENT360_PREFECT_AUTH" in refused("run", "prefect", "--host", "0.0.0.0")
    without = subprocess.run(
        [*COMMAND, "run", "web"],
        env=own | {"APPOINTMENT360_HOME": str(tmp_path)},
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )
    assert without.returncode == 1
    assert "DATABASE_URL is not set" in without.stderr


def test_flows_go_through_a_worker_that_drains_when_it_is_told_to_end(
    parts: Parts, razorpay: Razorpay, tmp_path: Path
) -> None:
    ann = person(email="ann@example.com", name="Ann", role=Role.ADMIN).actor()
    parts.prefect()
    web = parts.web("web")
    with listening(tmp_path) as manager:
        parts.more |= manager.environment
        parts.worker("first")
        assert manager.told() == ["READY=1", "STATUS="]
        del parts.more["NOTIFY_SOCKET"]
        _drained(parts, razorpay, ann)
        assert manager.told() == ["STOPPING=1", f"EXTEND_TIMEOUT_USEC={(300 + 15 + 15) * 1_000_000}"]
    assert credits.balance(by=ann).lasting == 100

    jobs.run("reconcile-payments", by=ann)
    parts.worker("second")
    parts.until("the second one does what came then", lambda: [run.state for run in runs()] == [RunState.DONE] * 2)

    assert status(f"{web}/healthz") == 200
    parts.signal("web")
    assert parts.ended("web") in (0, -signal.SIGTERM)
    parts.signal("second")
    assert parts.ended("second") == 0
    parts.signal("prefect")
    assert parts.ended("prefect") in (0, -signal.SIGTERM)


def _drained(parts: Parts, razorpay: Razorpay, ann: Actor) -> None:
    """The worker “first” is told to end while it works, and ends its work before."""
    razorpay.pay(orders.create("pack-100", by=ann).razorpay_id)  # nobody told us of it
    with razorpay.lock:  # nobody is answered
        jobs.run("reconcile-payments", by=ann)
        parts.until("the first one works", lambda: [run for run in runs() if run.state is RunState.RUNNING])
        parts.signal("first")
        parts.until("it drains", lambda: b"draining: 1 runs" in parts.log("first"))
        assert parts.started["first"].poll() is None, "it waits for what runs"
    assert parts.ended("first") == 0
    [done] = runs()
    assert (done.state, done.counts["mended"]) == (RunState.DONE, 1)


def test_prefect_reaches_a_database_with_a_certificate_of_its_own(db: str, tmp_path: Path) -> None:
    """What the address says to libpq is said to Prefect's driver, too, which takes other words."""
    certificate = self_signed(tmp_path)
    with tls_before(make_url(db).port or 0, certificate) as port:
        said = {"sslmode": "verify-full", "sslrootcert": str(certificate), "connect_timeout": "9", "keepalives": "1"}
        url = make_url(db).set(port=port, query=said).render_as_string(hide_password=False)
        with parts_of(db, tmp_path, DATABASE_URL=url) as parts:
            parts.prefect()
            parts.signal("prefect")
            assert parts.ended("prefect") in (0, -signal.SIGTERM)
            with psycopg.connect(libpq_url(db), dbname="prefect") as its:
                assert its.execute("SELECT count(*) FROM flow_run").fetchall() == [(0,)]


def runs() -> list[flow_runs.Run]:
    return list(reversed(flow_runs.page(flow="reconcile-payments", by=OPERATOR)))
