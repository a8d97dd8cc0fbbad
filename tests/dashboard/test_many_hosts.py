"""Two webs and three workers that share a Postgres and an S3, and no folder: what one began another goes on with."""

import hashlib
import random
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from playwright.sync_api import Download, sync_playwright
from sqlalchemy import func, select

from models import exports, import_orders, imports
from models.audit import AuditLine, Event
from models.contacts.table import Contact
from models.database import reading
from models.filters import parse
from models.imports import State
from models.permissions import OPERATOR, Role
from pipelines import export_contacts
from pipelines import import_orders as orders
from tests.dashboard import chromium
from tests.dashboard.conftest import Site
from tests.dashboard.test_uploads import Sender, Web
from tests.pipelines.hosts import Hosts, Store, sharing
from tests.pipelines.test_import_orders import order

ROWS = 12_000
PATIENCE = 60  # seconds for an answer: the machine may be busy


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with sharing(tmp_path_factory.mktemp("store")) as made:
        yield made


@pytest.fixture(scope="module")
def hosts(site: Site, store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    made = Hosts(tmp_path_factory.mktemp("hosts"))
    with made.on("of the tests"):
        yield made


@contextmanager
def web(site: Site, hosts: Hosts, name: str, **environment: str) -> Iterator[Web]:
    made = Web(site.url, hosts.home(name))
    made.start(**environment)
    try:
        yield made
    finally:
        made.kill()


@pytest.fixture(scope="module")
def streaming(site: Site, hosts: Hosts) -> Iterator[Web]:
    with web(site, hosts, "streaming web") as made:
        yield made


@pytest.fixture(scope="module")
def presigning(site: Site, hosts: Hosts) -> Iterator[Web]:
    with web(site, hosts, "presigning web", APPOINTMENT360_FILES_PRESIGNED="true") as made:
        yield made


def leads() -> bytes:
    chance = random.Random(1)
    rows = (f"P{n},L{n},p{n}@example.com,C{chance.random()}" for n in range(ROWS - 1))
    return "\n".join(["First Name,Last Name,Email,Company", *rows, "Zoe,Z,no address,C"]).encode() + b"\n"


def of_the_file() -> int:
    with reading() as session:
        return session.scalar(select(func.count()).where(Contact.email.like("p%@example.com"))) or 0


def test_a_file_comes_in_over_two_webs_and_three_workers(
    site: Site, hosts: Hosts, streaming: Web, presigning: Web
) -> None:
    data, before, by = leads(), of_the_file(), site.people[Role.MANAGER].actor()
    with senders(site, streaming, presigning) as (first, second):
        identity, asked = sent(first, second, streaming, data)
    streaming.start()

    def on(worker: str, number: int, of: int) -> "subprocess.Popen[bytes]":
        return hosts.process(worker, site.url, "-m", "pipelines.import_orders", str(number), str(of))

    assert on("first worker", identity, asked).wait() == 0
    found = imports.get(identity, by=OPERATOR)
    assert (found.state, found.sha256) == (State.OPENED, hashlib.sha256(data).hexdigest())

    asked = order(identity, State.PLANNED, by)
    killed = on("second worker", identity, asked)
    deadline = time.monotonic() + PATIENCE
    while (moment := imports.get(identity, by=OPERATOR)).step is None and moment.state == State.OPENED:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    killed.kill()
    killed.wait()
    assert imports.get(identity, by=OPERATOR).wanted == State.PLANNED
    assert on("third worker", identity, asked).wait() == 0
    found = imports.get(identity, by=OPERATOR)
    assert (found.state, found.rows, found.created, found.rejected) == (State.PLANNED, ROWS, ROWS - 1, 1), found.error

    assert on("first worker", identity, order(identity, State.COMMITTED, by)).wait() == 0
    assert of_the_file() - before == ROWS - 1
    with hosts.on("fourth worker"):
        orders.carry_out(identity, order(identity, State.UNDONE, by))
    assert (imports.get(identity, by=OPERATOR).state, of_the_file()) == (State.UNDONE, before)


def sent(first: Sender, second: Sender, on: Web, data: bytes) -> tuple[int, int]:
    """The import and the order of a file that one web takes a part of, and is killed in the middle of the next, and
    another web the rest."""
    identity = first.begun("leads.csv", len(data))["import_id"]
    assert first.put(identity, 0, data[:300_000]).json() == {"offset": 300_000}
    with half_sent(first, on, identity, data[300_000:500_000]):
        on.kill()
    assert second.begun("leads.csv", len(data)) == {
        "import_id": identity, "name": "leads.csv", "size": len(data), "offset": 300_000, "complete": False
    }  # fmt: skip
    second.put(identity, 300_000, data[300_000:]).raise_for_status()
    asked = second.complete(identity).raise_for_status().json()["order"]
    return identity, asked


@contextmanager
def senders(site: Site, *webs: Web) -> Iterator[list[Sender]]:
    made = [Sender(one, site.token(Role.MANAGER)) for one in webs]
    for one in made:
        one.client.timeout = httpx.Timeout(PATIENCE)
    yield made
    for one in made:
        one.client.close()


@contextmanager
def half_sent(sender: Sender, on: Web, import_id: int, data: bytes) -> Iterator[None]:
    """A piece is on its way while the block runs, of which all but the last byte is there."""
    cookie = sender.client.cookies["session"]
    head = f"PUT /imports/{import_id}/upload?offset=300000 HTTP/1.1\r\nhost: localhost:{on.port}\r\n"
    head += f"origin: {on.address}\r\ncookie: session={cookie}\r\ncontent-length: {len(data) + 1}\r\n\r\n"
    with socket.create_connection(("localhost", on.port)) as wire:
        wire.sendall(head.encode() + data)
        time.sleep(0.3)
        yield


@pytest.fixture(scope="module")
def export(site: Site, hosts: Hosts) -> exports.Export:
    """Made by a worker."""
    by = site.people[Role.ANALYST].actor()
    asked = parse(["country=Germany"], by=by)
    number = exports.request(filters=asked, columns=["first_name"], format="csv", file_name="kontakte-ü.csv", by=by)
    with hosts.on("first worker"):
        made = export_contacts.run(number)
    assert (made.state, made.rows, made.error) == (exports.State.DONE, site.in_germany, None)
    assert [one for one in hosts.files("first worker") if one.startswith("exports")] == []
    return made


def client(site: Site, on: Web, role: Role) -> httpx.Client:
    return httpx.Client(base_url=on.address, cookies={"session": site.token(role)}, timeout=PATIENCE)


def taken(export: exports.Export) -> int:
    with reading() as session:
        lines = select(func.count()).where(AuditLine.event == Event.EXPORT_DOWNLOADED)
        return session.scalar(lines.where(AuditLine.subject == f"export {export.id}")) or 0


def test_an_export_of_a_worker_comes_through_a_web(site: Site, streaming: Web, export: exports.Export) -> None:
    path, before = f"/exports/{export.id}/file", taken(export)
    with client(site, streaming, Role.ANALYST) as analyst:
        answer = analyst.get(path)
        whole = answer.content
        assert (len(whole), hashlib.sha256(whole).hexdigest()) == (export.bytes, export.sha256)
        assert answer.headers["content-disposition"] == "attachment; filename*=utf-8''kontakte-%C3%BC.csv"
        assert (answer.headers["cache-control"], answer.headers["content-encoding"]) == ("no-store", "identity")
        assert answer.headers["content-length"] == analyst.head(path).headers["content-length"] == str(len(whole))
        tag = {"if-range": answer.headers["etag"]}
        for part, expected in (("10-", whole[10:]), ("-7", whole[-7:]), ("3-5", whole[3:6]), ("5-9999999", whole[5:])):
            rest = analyst.get(path, headers={"range": f"bytes={part}", **tag})
            assert (rest.status_code, rest.content) == (206, expected)
        assert rest.headers["content-range"] == f"bytes 5-{len(whole) - 1}/{len(whole)}"
        assert analyst.get(path, headers={"range": "bytes=10-", "if-range": '"another"'}).content == whole
        beyond = analyst.get(path, headers={"range": f"bytes={len(whole)}-"})
        assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(whole)}")
    assert taken(export) - before == 1
    with client(site, streaming, Role.MANAGER) as other:
        assert other.get(path).status_code == 404
    assert httpx.get(f"{streaming.address}{path}").status_code == 401


def test_an_export_comes_from_the_store_to_whom_the_web_sends_there(
    site: Site, presigning: Web, streaming: Web, store: Store, export: exports.Export
) -> None:
    path, before = f"/exports/{export.id}/file", taken(export)
    with client(site, presigning, Role.ANALYST) as analyst:
        answer = analyst.get(path)
        assert (answer.status_code, answer.headers["cache-control"]) == (303, "no-store")
        policy = answer.headers["content-security-policy"]
        assert f":{store.port}" not in policy, "a page need not be let there: it is left for the file"
        there = answer.headers["location"]
        assert there.startswith(f"http://127.0.0.1:{store.port}/leads/site/exports/{export.id}/")
        assert "X-Amz-Expires=60&" in there
        got = httpx.get(there, timeout=PATIENCE)
        assert hashlib.sha256(got.content).hexdigest() == export.sha256
        assert "response-content-disposition=attachment" in there
        assert httpx.get(there, headers={"range": "bytes=5-"}, timeout=PATIENCE).content == got.content[5:]
        assert httpx.get(there.replace("X-Amz-Expires=60", "X-Amz-Expires=6000")).status_code == 403
        assert httpx.get(there.partition("?")[0]).status_code == 403
        assert analyst.head(path).headers["content-length"] == str(export.bytes)
    assert taken(export) - before == 1
    with client(site, presigning, Role.MANAGER) as other:
        refused = other.get(path)
        assert (refused.status_code, "location" in refused.headers) == (404, False)


CLICK = """([path, attributes]) => { const link = document.createElement("a"); link.href = path;
    Object.assign(link, attributes); document.body.append(link); link.click(); }"""


def test_a_browser_follows_to_the_store(site: Site, presigning: Web, export: exports.Export) -> None:
    """By both ways that screens have: a click that comes by way of Python, and a link in a tab of its own."""
    downloads: list[Download] = []

    def take(download: Download) -> None:  # Playwright marks its handlers, and a list's own method cannot be
        downloads.append(download)

    with sync_playwright() as playwright:
        found = chromium.executable(playwright.chromium.executable_path)
        browser = playwright.chromium.launch(executable_path=found, args=chromium.FLAGS)
        context = browser.new_context()
        context.add_cookies([{"name": "session", "value": site.token(Role.ANALYST), "url": presigning.address}])
        page = context.new_page()
        context.on("page", lambda tab: tab.on("download", take))
        page.on("download", take)
        page.goto(f"{presigning.address}/exports")
        for number, attributes in enumerate(({"download": ""}, {"target": "_blank"}), 1):
            page.evaluate(CLICK, [f"/exports/{export.id}/file", attributes])
            deadline = time.monotonic() + PATIENCE
            while len(downloads) < number:
                assert time.monotonic() < deadline
                page.wait_for_timeout(50)
        for one in downloads:
            assert hashlib.sha256(one.path().read_bytes()).hexdigest() == export.sha256
            assert "X-Amz-Signature" in one.url
        browser.close()


def test_a_store_that_is_away_is_told(site: Site, streaming: Web, store: Store, export: exports.Export) -> None:
    with senders(site, streaming) as [sender]:
        _store_goes_and_comes(site, sender, streaming, store, export)


def _store_goes_and_comes(site: Site, sender: Sender, streaming: Web, store: Store, export: exports.Export) -> None:
    identity = sender.begun("later.csv", 10)["import_id"]
    sender.put(identity, 0, b"01234").raise_for_status()
    store.go()
    try:
        with client(site, streaming, Role.ANALYST) as analyst:
            answer = analyst.get(f"/exports/{export.id}/file")
        assert (answer.status_code, "cannot be reached" in answer.text) == (503, True)
        refused = sender.put(identity, 5, b"56789")
        assert (refused.status_code, "cannot be reached" in refused.json()["error"]) == (503, True)
    finally:
        store.come()
    assert sender.look(identity).json()["offset"] == 5, "what was acknowledged"
    assert sender.put(identity, 5, b"56789").json() == {"offset": 10}
    sender.complete(identity).raise_for_status()
    import_orders.cancel(identity, by=OPERATOR)
