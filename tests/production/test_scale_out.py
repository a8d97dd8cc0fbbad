"""Two hosts with a web and a worker each, on one Postgres, one S3 and one Prefect: what is begun on one goes on at the
other, and when one of them dies under load nobody loses anything."""

import csv
import hashlib
import io
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy import text

from deploy.embedded_postgres import Server, start_or_join
from models import database, flow_runs, sign_ins
from models.contacts import records
from models.flow_runs import RunState
from models.permissions import OPERATOR, Role
from tests.conftest import cheap_disk
from tests.deploy.command_line import COMMAND, PROJECT
from tests.deploy.parts_running import SIGN_IN, status
from tests.people import PASSWORD, person
from tests.pipelines import nanio, s3
from tests.production.network import Host, hosts
from tests.waiting import free_port, until

pytestmark = pytest.mark.deploy
LONGEST = 300.0  # seconds until something must have happened
PEOPLE, MOST_QUESTIONS, MOST_SECONDS = 20, 900, 330.0  # of the load, which ends when the test does
ROWS, HERE = 5_000, 7  # of the file, and contacts that are there before
EMPLOYEES = [1 + number % 900 for number in range(ROWS)]


@dataclass
class Site:
    """Two hosts on the services of this machine, whose address is `services`."""

    services: str
    one: Host
    other: Host
    folder: Path
    environment: dict[str, str]
    started: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    def run(self, host: Host, part: str, *more: str) -> "subprocess.Popen[bytes]":
        log = self.folder / f"{host.name}-{part}.log"
        arguments = ("migrate",) if part == "migrate" else ("run", part)
        self.started.append(host.start(*arguments, *more, environment=self.environment, log=log))
        return self.started[-1]

    def prefect(self, port: int) -> None:
        """On this machine itself."""
        with (self.folder / "prefect.log").open("ab") as log:
            command = [*COMMAND, "run", "prefect", "--host", "0.0.0.0", "--port", str(port)]
            told = self.environment | {"APPOINTMENT360_HOME": str(self.folder / "prefect")}
            self.started.append(
                subprocess.Popen(
                    command, env=told, cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
                )
            )

    def worker(self, host: Host) -> None:
        self.run(host, "worker", "--limit", "2")

    def works(self, host: Host) -> None:
        """Wait until its worker takes runs."""
        log = self.folder / f"{host.name}-worker.log"
        self.until("the worker takes runs", lambda: "started!" in log.read_text())

    def until(self, what: str, condition: Callable[[], Any]) -> Any:
        return until(what, condition, self.said, within=LONGEST)

    def said(self) -> str:
        return "\n".join(f"{log.name}: {log.read_text()[-2000:]}" for log in sorted(self.folder.glob("*.log")))

    def end(self) -> None:
        for process in self.started:
            process.kill()
            process.wait()


def web(host: Host) -> str:
    return f"http://{host.address}:8360"


@contextmanager
def reachable_server(services: str) -> Iterator[Server]:
    """A Postgres that the hosts reach."""
    folder = Path(tempfile.mkdtemp(prefix="appointment360-", dir=cheap_disk()))
    folder.chmod(0o755)
    tuning = {"fsync": "off", "shared_buffers": "128MB", "listen_addresses": f"127.0.0.1,{services}"}
    server = start_or_join(folder, tuning=tuning)
    try:
        with (folder / "postgres" / "pgdata" / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {services.rpartition('.0.1')[0]}.0.0/16 scram-sha-256\n")
        with psycopg.connect(server.url("postgres", ""), autocommit=True) as connection:
            connection.execute("SELECT pg_reload_conf()")
        yield server
    finally:
        server.release()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The second host has no worker yet."""
    folder, store = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("store")
    with ExitStack() as left:
        services, (one, other) = left.enter_context(hosts(folder, "host-1", "host-2"))
        server = left.enter_context(reachable_server(services))
        server.ensure_database("contacts")
        s3_port, prefect_port = free_port(), free_port()
        s3.client(left.enter_context(nanio.serving(store, s3_port, host="0.0.0.0"))).create_bucket(Bucket=s3.BUCKET)
        own = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        environment = own | {
            "DATABASE_URL": server.url("contacts", "").replace("127.0.0.1", services),
            "APPOINTMENT360_PREFECT_URL": f"http://{services}:{prefect_port}",
            "APPOINTMENT360_PREFECT_AUTH": SIGN_IN,
            "APPOINTMENT360_FILES": f"s3://{s3.BUCKET}/site",
            "APPOINTMENT360_S3_ENDPOINT": f"http://{services}:{s3_port}",
            "APPOINTMENT360_S3_REGION": "us-east-1",
            "APPOINTMENT360_S3_ACCESS_KEY": "key",
            "APPOINTMENT360_S3_SECRET_KEY": "secret",
            "APPOINTMENT360_REQUESTS_PER_ADDRESS": "100000",  # the load comes from one
            "APPOINTMENT360_REQUESTS_PER_HOUR": "100000",  # who waits asks ten times a second
        }
        made = Site(services, one, other, folder, environment)
        left.callback(made.end)
        assert made.run(one, "migrate").wait() == 0, made.said()
        database.bind(server.url("contacts"))
        left.callback(database.unbind)
        made.prefect(prefect_port)
        for host in (one, other):
            made.run(host, "web", "--host", "0.0.0.0")
        made.until("Prefect answers", lambda: status(f"http://{services}:{prefect_port}/api/health") == 200)
        made.worker(one)
        for address in (web(one), web(other)):
            made.until("a web is ready", lambda address=address: status(f"{address}/readyz") == 200)
        made.works(one)
        yield made


class Visitor:
    """Somebody who is signed in, as a browser behind a proxy: where one instance is away another one is asked."""

    def __init__(self, site: Site, token: str, *first: Host) -> None:
        order = [*first, *(host for host in (site.one, site.other) if host not in first)]
        headers = {"authorization": f"Bearer {token}"}
        self.clients = [httpx.Client(base_url=web(host), headers=headers, timeout=30) for host in order]
        self.moved = 0

    def ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        while True:
            try:
                return self.clients[0].request(method, f"/api/v1{path}", **given)
            except httpx.TransportError:
                self.moved += 1
                assert self.moved < 10, "no instance answers"
                self.clients.append(self.clients.pop(0))

    def get(self, path: str) -> Any:
        answer = self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def close(self) -> None:
        for client in self.clients:
            client.close()


def signed_in(at: Host, email: str) -> str:
    """The token that a program gets there."""
    answer = httpx.post(f"{web(at)}/api/v1/sessions", json={"email": email, "password": PASSWORD}, timeout=30)
    assert answer.status_code == 201, answer.text
    token: str = answer.json()["token"]
    return token


def browser(site: Site, host: Host, cookies: Any = None) -> httpx.Client:
    return httpx.Client(base_url=web(host), headers={"origin": web(host)}, cookies=cookies, timeout=30)


def leads() -> bytes:
    written = io.StringIO()
    rows = csv.writer(written)
    rows.writerow(["First Name", "Last Name", "Email", "# Employees"])
    rows.writerows([f"P{n}", f"L{n}", f"p{n}@scaled.example", of] for n, of in enumerate(EMPLOYEES))
    return written.getvalue().encode()


def numbers() -> tuple[int, int, int]:
    """Contacts, those of the file, and what their employees come to."""
    with database.reading() as session:
        row = session.execute(
            text(
                """SELECT count(*), count(*) FILTER (WHERE email LIKE 'p%@scaled.example'),
                coalesce(sum(employees) FILTER (WHERE email LIKE 'p%@scaled.example'), 0) FROM contacts"""
            )
        ).one()
    return row[0], row[1], row[2]


def test_what_is_begun_on_one_host_goes_on_at_the_other_and_outlives_it(site: Site) -> None:
    max_ = person(email="max@example.com", name="Max", role=Role.MANAGER, download_limit=None)
    for number in range(HERE):
        records.create({"first_name": f"Here {number}"}, by=OPERATOR)

    # The session's cookie comes from one host, and is one at the other; so is half a file.
    data = leads()
    with browser(site, site.one) as first:
        ticket = sign_ins.issue_ticket(max_.actor())
        assert first.post("/auth/session", json={"ticket": ticket}).status_code == 204
        begun = first.post("/imports/uploads", json={"name": "leads.csv", "size": len(data), "modified": 1}).json()
        path = f"/imports/{begun['import_id']}/upload"
        assert first.put(path, params={"offset": 0}, content=data[:50_000]).json() == {"offset": 50_000}
        cookies = first.cookies
    with browser(site, site.other, dict(cookies)) as second:
        assert second.get(path).json()["offset"] == 50_000
        second.put(path, params={"offset": 50_000}, content=data[50_000:]).raise_for_status()
        second.post(f"{path}/complete").raise_for_status()

    # A token of one host reads at the other what the first one's worker found, and a choice is kept for both.
    token = signed_in(site.one, "max@example.com")
    here, there = Visitor(site, token, site.one), Visitor(site, token, site.other)
    whole = f"/imports/{begun['import_id']}"
    site.until("the file is opened", lambda: there.get(whole)["state"] == "opened")
    assert there.get(whole)["sha256"] == hashlib.sha256(data).hexdigest()
    chosen = here.get(f"{whole}/mapping")["chosen"] | {"keep": "ours"}
    assert here.ask("PUT", f"{whole}/mapping/draft", json=chosen).status_code == 204
    assert there.get(f"{whole}/mapping")["draft"]["chosen"]["keep"] == "ours"
    assert there.ask("PUT", f"{whole}/mapping", json=chosen).status_code == 202
    plan = site.until("there is a plan", lambda: here.get(whole)["plan"])

    # An export of the first host's worker is fetched through the other.
    asked = here.ask("POST", "/exports", json={"filter": "", "columns": ["first_name"]})
    assert asked.status_code == 202, asked.text
    export = f"/exports/{asked.json()['id']}"
    made = site.until("the export is made", lambda: (now := there.get(export))["has_file"] and now)
    fetched = there.ask("GET", f"{export}/file")
    assert (made["rows"], hashlib.sha256(fetched.content).hexdigest()) == (HERE, made["sha256"])

    # The first host dies in the middle of the commit, while twenty people count.
    with database.engine().connect() as holding:
        holding.execute(text("LOCK TABLE contacts IN EXCLUSIVE MODE"))  # nobody writes there meanwhile
        assert here.ask("POST", f"{whole}/commit", json={"plan": plan}).status_code == 202
        site.until("the commit waits", waits_for_contacts)
        site.worker(site.other)
        site.works(site.other)
        with crowd(site) as people:
            site.until("all count", lambda: all(one.seen for one in people))
            site.one.lose_power()
            holding.rollback()
            site.until("the import is done", lambda: there.get(whole)["state"] == "committed")
            site.until("all saw it", lambda: all(HERE + ROWS in one.seen for one in people))
    done = here.get(whole)
    assert here.moved == 1
    assert [done[name] for name in ("rows", "created", "updated", "duplicates", "rejected")] == [ROWS, ROWS, 0, 0, 0]
    assert numbers() == (HERE + ROWS, ROWS, sum(EMPLOYEES))
    for one in people:
        assert one.faults == []
        assert one.seen == [HERE, HERE + ROWS], "all of it came at once, and never went away again"
    assert sum(one.visitor.moved for one in people) >= PEOPLE // 2, "those of the first host went on at the other"
    crashed = [run for run in flow_runs.page(by=OPERATOR) if run.state is RunState.CRASHED]
    assert len(crashed) == 1, "the run of the host that died"
    for visitor in (here, there):
        visitor.close()


def waits_for_contacts() -> bool:
    with database.reading() as session:
        waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'contacts'::regclass")
        return bool(session.scalar(waiting))


@dataclass
class Counting:
    """A person who counts contacts again and again; `seen` are the numbers, each as often as it came anew."""

    visitor: Visitor
    seen: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def go_on(self, over: threading.Event) -> None:
        end = time.monotonic() + MOST_SECONDS
        for _ in range(MOST_QUESTIONS):
            if over.wait(0.4) or time.monotonic() > end:
                return
            answer = self.visitor.ask("GET", "/contacts/count")
            if answer.status_code != 200:
                self.faults.append(f"{answer.status_code}: {answer.text}")
            elif self.seen[-1:] != [number := answer.json()["count"]]:
                self.seen.append(number)


@contextmanager
def crowd(site: Site) -> Iterator[list[Counting]]:
    """Half of them at each host."""
    people = []
    for number in range(PEOPLE):
        user = person(email=f"p{number}@example.com", name=f"Person {number}", role=Role.ANALYST)
        at = site.one if number % 2 else site.other
        people.append(Counting(Visitor(site, signed_in(at, user.email), at)))
    over = threading.Event()
    with ThreadPoolExecutor(PEOPLE) as pool:
        going = [pool.submit(one.go_on, over) for one in people]
        try:
            yield people
        finally:
            over.set()
    for one in going:
        one.result()
    for one in people:
        one.visitor.close()
