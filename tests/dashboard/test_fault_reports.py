"""What a Sentry is sent of errors, read from the envelopes that a real process posts: nobody's data."""

import gzip
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from models import tokens
from models.database import writing
from models.permissions import OPERATOR, Role
from pipelines.own_database import PREFECT_RUN
from tests.dashboard.conftest import ROOT, Site, served, server_environment

SECRET, EMAIL, NAME = "hunter2-of-somebody", "pia.quarrington@secret-mail.example", "Quarrington"
FAILING = f"""
import logging
from sqlalchemy import text
from models.database import writing
from models.permissions import OPERATOR
from pipelines.own_database import bind_database
bind_database()
local = {SECRET!r}
try:
    with writing(OPERATOR) as session:
        session.execute(text("INSERT INTO seen VALUES (:email), (:email)"), {{"email": {EMAIL!r}}})
except Exception as error:
    logging.getLogger("pipelines.x").exception("it failed for %s of %s", {EMAIL!r}, local)
logging.getLogger("pipelines.x").error("a line about %s", local)
raise ValueError("nobody caught " + local)
"""


@dataclass
class Sentry:
    address: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    raw: bytes = b""

    def of(self, part: str, count: int) -> list[dict[str, Any]]:
        deadline = time.monotonic() + 60
        while len(found := [one for one in self.events if one["tags"].get("part") == part]) < count:
            assert time.monotonic() < deadline, self.events
            time.sleep(0.1)
        return found


@pytest.fixture(scope="module")
def sentry() -> Iterator[Sentry]:
    kept = Sentry()

    class Sink(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            kept.raw += body
            lines = body.split(b"\n")  # items end with a newline, and JSON has none within
            for head, item in zip(lines[1::2], lines[2::2], strict=False):
                assert json.loads(head)["type"] == "event"
                kept.events.append(json.loads(item))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    kept.address = f"http://key@127.0.0.1:{server.server_port}/1"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield kept
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("part", ["worker", "flow"])
def test_a_process_that_works_reports(site: Site, sentry: Sentry, tmp_path: Path, part: str) -> None:
    with writing(OPERATOR) as session:
        session.execute(text("CREATE TABLE IF NOT EXISTS seen (email text UNIQUE)"))
    more = {PREFECT_RUN: str(uuid4())} if part == "flow" else {}
    environment = server_environment(
        site.url, APPOINTMENT360_HOME=str(tmp_path), APPOINTMENT360_SENTRY_DSN=sentry.address, **more
    )
    command = [sys.executable, "-c", FAILING]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    caught, uncaught = sentry.of(part, 2)
    kinds = [(one["type"], one["value"]) for one in caught["exception"]["values"]]
    assert kinds == [("UniqueViolation", "23505 (seen_email_key)"), ("IntegrityError", "23505 (seen_email_key)")]
    assert [(one["type"], one["value"]) for one in uncaught["exception"]["values"]] == [("ValueError", "")]
    assert uncaught["exception"]["values"][0]["stacktrace"]["frames"]
    nothing_of_anybody(sentry)


def test_the_web_reports(site: Site, sentry: Sentry, tmp_path: Path) -> None:
    _, token = tokens.create_for(site.people[Role.ADMIN].email, "a test", scopes=None, by=OPERATOR)
    her = {"first_name": "Pia", "last_name": NAME, "email": EMAIL}
    with writing(OPERATOR) as session:
        session.execute(
            text("""CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            RAISE EXCEPTION 'no room for %', NEW.email USING ERRCODE = 'unique_violation',
                DETAIL = format('Key (email)=(%s) already exists.', NEW.email); END $$;
            CREATE TRIGGER refuse BEFORE INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION refuse()""")
        )
    try:
        with served(site.url, tmp_path, APPOINTMENT360_SENTRY_DSN=sentry.address) as address:
            headers = {"authorization": f"Bearer {token}", "cookie": f"a={SECRET}"}
            answer = httpx.post(f"{address}/api/v1/contacts?q={NAME}", json=her, headers=headers, timeout=30)
            event = sentry.of("web", 1)[0]
    finally:
        with writing(OPERATOR) as session:
            session.execute(text("DROP TRIGGER refuse ON contacts; DROP FUNCTION refuse"))
    assert answer.status_code == 500
    assert event["tags"]["request_id"] == answer.json()["request_id"]
    assert event["tags"]["person_id"] == str(site.people[Role.ADMIN].id)
    assert event["exception"]["values"][-1]["value"] == "23505"
    nothing_of_anybody(sentry, token)


def nothing_of_anybody(sentry: Sentry, *more: str) -> None:
    told = sentry.raw.decode()
    for word in (SECRET, EMAIL, NAME, "INSERT INTO", "127.0.0.1", os.uname().nodename, *more):
        assert word not in told.replace(sentry.address, ""), word
    assert not {key for one in sentry.events for key in one} & {"request", "user", "breadcrumbs", "logentry", "modules"}


def test_without_a_dsn_its_library_is_not_loaded(tmp_path: Path) -> None:
    program = "import sys, dashboard.server; raise SystemExit('sentry_sdk' in sys.modules)"
    environment = server_environment(None, APPOINTMENT360_HOME=str(tmp_path))
    assert subprocess.run([sys.executable, "-c", program], env=environment, cwd=ROOT, check=False).returncode == 0
