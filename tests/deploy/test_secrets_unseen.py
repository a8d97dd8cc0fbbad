"""No secret is in a log, an error, a list of processes or a database, whatever fails."""

import re
import secrets
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from models import flow_runs, jobs
from models.database import libpq_url
from models.flow_runs import RunState
from models.permissions import OPERATOR, Role
from models.secret_files import SUFFIX, is_secret
from models.settings import Settings, variable
from tests.deploy.command_line import Cli
from tests.deploy.parts_running import parts_of, status
from tests.people import person
from tests.waiting import free_port

JOBS = ("reconcile-payments", "back-up")
IN_FILES = ("prefect_auth", "smtp_password", "razorpay_key_secret")  # the others are variables
LOOK_EVERY = 0.2
KEY = re.compile(r"http://(.*)@.*")


class Seen:
    """Where a secret was found, by the place's name."""

    def __init__(self, *hidden: str) -> None:
        self.hidden = hidden
        self.places: set[str] = set()
        self.looked_at: list[str] = []

    def look(self, place: str, text: str) -> None:
        self.looked_at.append(text)
        if any(secret in text for secret in self.hidden):
            self.places.add(f"{place}: {text[:200]}")

    @contextmanager
    def watching_processes(self) -> Iterator[None]:
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(LOOK_EVERY):
                for process in psutil.process_iter():
                    with suppress(psutil.Error):
                        self.look("a process", " ".join(process.cmdline()))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()

    def look_into(self, url: str, database: str) -> None:
        """Every row of every table."""
        with psycopg.connect(libpq_url(url), dbname=database) as connection:
            tables = connection.execute(
                "SELECT relname FROM pg_stat_user_tables WHERE schemaname = 'public'"
            ).fetchall()
            assert tables
            for [table] in tables:
                rows = connection.execute(sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(table)))
                for [row] in rows:
                    self.look(f"{database}.{table}", row)


@pytest.fixture
def given(tmp_path: Path) -> dict[str, str]:
    """Every secret setting but the database's, as variables and in files; whom they are for does not answer."""
    made = {}
    for name, field in Settings.model_fields.items():
        if not is_secret(field) or name.startswith("database"):
            continue
        secret = secrets.token_hex(16)
        if name == "sentry_dsn":
            made[variable(name)] = f"http://{secret}@127.0.0.1:{free_port()}/1"
        elif name in IN_FILES:
            file = tmp_path / name
            file.write_text(f"app:{secret}\n" if name == "prefect_auth" else f"{secret}\n")
            made[f"{variable(name)}{SUFFIX}"] = str(file)
        else:
            made[variable(name)] = secret
    nobody = f"http://127.0.0.1:{free_port()}"
    return made | {
        "APPOINTMENT360_RAZORPAY_KEY_ID": "rzp_test_key", "APPOINTMENT360_RAZORPAY_URL": nobody,
        "APPOINTMENT360_SMTP_HOST": "127.0.0.1", "APPOINTMENT360_SMTP_PORT": str(free_port()),
        "APPOINTMENT360_SMTP_USER": "app", "APPOINTMENT360_S3_ENDPOINT": nobody,
        "APPOINTMENT360_S3_ACCESS_KEY": "key", "AWS_MAX_ATTEMPTS": "1", "APPOINTMENT360_BACKUP_TO": "s3://backups/here",
    }  # fmt: skip


def secrets_of(given: dict[str, str], url: str) -> list[str]:
    files = [Path(value).read_text().strip() for name, value in given.items() if name.endswith(SUFFIX)]
    plain = [KEY.sub(r"\1", given[variable(name)]) for name, field in Settings.model_fields.items()
             if is_secret(field) and variable(name) in given]  # fmt: skip
    return [*plain, *(secret.removeprefix("app:") for secret in files), str(make_url(url).password)]


def test_no_secret_is_seen_whatever_fails(db: str, tmp_path: Path, given: dict[str, str]) -> None:
    ann = person(email="ann@example.com", name="Ann", role=Role.ADMIN).actor()
    hidden = secrets_of(given, db)
    assert len(hidden) >= 9
    seen = Seen(*hidden)
    folder = tmp_path / "parts"
    folder.mkdir()
    with parts_of(db, folder, APPOINTMENT360_PREFECT_AUTH="", **given) as parts, seen.watching_processes():
        parts.prefect()
        web = parts.web("web")
        parts.worker("worker")
        for job in JOBS:
            jobs.run(job, by=ann)
        parts.until("they failed", lambda: {run.flow for run in runs() if run.state is RunState.FAILED} >= set(JOBS))
        for token in hidden:  # as if somebody typed one into the wrong place
            request = urllib.request.Request(f"{web}/api/v1/contacts", headers={"Authorization": f"Bearer {token}"})
            with pytest.raises(urllib.error.HTTPError, match="401"):
                urllib.request.urlopen(request, timeout=30)
        cli = Cli(db, folder / "host-1", given)
        said = [cli(*words.split()) for words in ("backup", "payments compare", "settings show --all", "count")]
        gone = Cli(str(make_url(db).set(port=1).render_as_string(hide_password=False)), folder / "host-1", given)
        said += [gone("count"), gone("migrate"), gone("run", "prefect")]
        with psycopg.connect(libpq_url(db), dbname="postgres", autocommit=True) as session:
            name = make_url(db).database
            session.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'.encode())
            session.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
            parts.until("the web lost its database", lambda: status(f"{web}/readyz") == 503)
            parts.until("the worker lost it", lambda: b"not currently accepting connections" in parts.log("worker"))
            session.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'.encode())
        seen.look_into(db, str(name))
        seen.look_into(db, "prefect")
    for ended in said:
        seen.look("a command", ended.out + ended.err)
    for file in folder.rglob("*"):
        if file.is_file():
            seen.look(str(file), file.read_text(errors="replace"))
    looked_at = "\n".join(seen.looked_at)
    assert "pipelines.pool_worker" in looked_at
    assert "not currently accepting connections" in looked_at
    assert "(a secret)" in looked_at
    assert [ended.code for ended in said] == [1, 1, 0, 0, 1, 1, 1], said
    assert seen.places == set()


def runs() -> list[flow_runs.Run]:
    return flow_runs.page(by=OPERATOR)
