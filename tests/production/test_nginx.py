"""What deploy/nginx promises, of a real nginx before two real instances of the web."""

import asyncio
import json
import re
import signal
import socket
import ssl
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import streamlit
from playwright.sync_api import expect, sync_playwright

from dashboard.api import bodies
from dashboard.api.uploads import LARGEST_PART
from dashboard.widgets.upload import PIECE
from models import sign_ins, users
from models.database import reading
from models.permissions import Role
from tests import waiting
from tests.dashboard import chromium
from tests.dashboard.conftest import PASSWORD, Site
from tests.dashboard.contacts_data import ROWS
from tests.production.nginx_site import (
    GIXY,
    INSTALL,
    NAME,
    PATIENCE,
    Instance,
    Proxy,
    proxy_before,
    tool,
    two_instances,
    until,
)

pytestmark = pytest.mark.deploy
SCRIPT = next(Path(streamlit.__file__).parent.glob("static/static/js/index.*.js"))
DEPLOYED = INSTALL.parent
SCRIPT_PATH = f"/static/js/{SCRIPT.name}"
OURS = (
    "content-security-policy", "x-content-type-options", "x-frame-options", "referrer-policy", "x-request-id",
    "cross-origin-opener-policy", "cross-origin-resource-policy", "permissions-policy", "strict-transport-security",
)  # fmt: skip
RESTLESS = "127.0.0.250"  # of who asks again and again
UNUSED = (f"127.0.0.{last}" for last in range(10, 250))  # addresses of clients that asked for nothing yet


@pytest.fixture(scope="module")
def behind(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Proxy, list[Instance]]]:
    with two_instances(site.url, tmp_path_factory.mktemp("home")) as both:
        yield both


@pytest.fixture
def proxy(behind: tuple[Proxy, list[Instance]]) -> Proxy:
    return behind[0]


@pytest.fixture
def client(proxy: Proxy) -> Iterator[httpx.Client]:
    with proxy.client(from_address=next(UNUSED)) as client:
        yield client


def curl(proxy: Proxy, path: str, *options: str) -> subprocess.CompletedProcess[bytes]:
    known = ["--resolve", f"{proxy.public}:127.0.0.1", "--cacert", str(proxy.certificate)]
    return subprocess.run(["curl", "-s", *known, *options, proxy.url + path], capture_output=True)


def test_gixy_finds_nothing(proxy: Proxy) -> None:
    done = tool(GIXY, "gixy", str(proxy.conf), folder=proxy.folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No issues found." in done.stdout


def test_http_leads_to_https(proxy: Proxy) -> None:
    answer = httpx.post(f"http://127.0.0.1:{proxy.http}/contacts?country=Germany", headers={"Host": NAME})
    assert (answer.status_code, answer.headers["location"]) == (308, f"{proxy.url}/contacts?country=Germany")
    spoken = httpx.get(f"http://127.0.0.1:{proxy.https}/contacts", headers={"Host": NAME})  # http at the port of https
    assert (spoken.status_code, spoken.headers["location"]) == (308, f"{proxy.url}/contacts")


def test_programs_are_not_led_to_https(proxy: Proxy) -> None:
    """They would not notice, and send their token by http again."""
    for port in (proxy.http, proxy.https):
        answer = httpx.get(f"http://127.0.0.1:{port}/api/v1/contacts", headers={"Host": NAME})
        assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json")
        assert answer.json()["detail"].startswith("The API is reached by https only.")
        assert "location" not in answer.headers


def test_challenges_of_a_certificate_are_answered_over_http(proxy: Proxy) -> None:
    (proxy.folder / "webroot" / ".well-known" / "acme-challenge" / "token").write_text("token.thumbprint")
    url = f"http://127.0.0.1:{proxy.http}/.well-known/acme-challenge"
    assert httpx.get(f"{url}/token", headers={"Host": NAME}).text == "token.thumbprint"
    assert httpx.get(f"{url}/other", headers={"Host": NAME}).status_code == 404


def test_other_names_get_neither_certificate_nor_answer(proxy: Proxy, client: httpx.Client) -> None:
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        httpx.get(f"http://127.0.0.1:{proxy.http}/", headers={"Host": "other.test"})
    unverified = ssl._create_unverified_context()
    for name in ("other.test", None):
        with (
            socket.create_connection(("127.0.0.1", proxy.https)) as plain,
            pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"),
        ):
            unverified.wrap_socket(plain, server_hostname=name)
    assert client.get("/", headers={"Host": "other.test"}).status_code == 421


def test_every_answer_has_each_header_once_whoever_gives_it(proxy: Proxy, client: httpx.Client) -> None:
    client.get(SCRIPT_PATH)  # so that the next one comes out of nginx's own cache
    answers = {
        "the application": client.get("/"),
        "the API": client.get("/api/v1/contacts"),
        "the cache": client.get(SCRIPT_PATH),
        "nginx, nothing there": client.get("/readyz"),
        "nginx, too large": client.put("/imports/1/upload", content=b"x" * (PIECE + 1)),
        "nginx, other name": client.get("/", headers={"Host": "other.test"}),
    }
    assert proxy.line_of(answers["the cache"])["cache"] == "HIT"
    for who, answer in answers.items():
        counted = {name: len(answer.headers.get_list(name)) for name in OURS}
        assert counted == dict.fromkeys(OURS, 1), who
        assert answer.headers["server"] == "nginx"  # without its version
    assert [one.status_code for one in answers.values()] == [200, 401, 200, 404, 413, 421]


@pytest.mark.parametrize("path", ["/readyz", "/metrics", "/readyz/", "//readyz", "/x/../readyz", "/%72eadyz"])
def test_what_is_for_the_machines_stays_inside(proxy: Proxy, path: str) -> None:
    """By curl, which sends a path as it is written."""
    done = curl(proxy, path, "--path-as-is", "-w", "%{http_code} %{content_type}")
    assert b"Nothing here" in done.stdout
    assert done.stdout.endswith(b"404 text/html; charset=utf-8")


def test_requests_go_to_the_instances_and_the_store_alone(proxy: Proxy, tmp_path: Path) -> None:
    """By what nginx itself says it was told; and whoever names another host in the request itself is led nowhere."""

    def told(etc: Path) -> tuple[set[str], set[str]]:
        done = subprocess.run(
            ["nginx", "-T", "-q", "-c", etc / "nginx.conf"], capture_output=True, text=True, check=True
        )
        servers = set(re.findall(r"^server (\S+) ", done.stdout, re.MULTILINE))
        return set(re.findall(r"_pass (\S+);", done.stdout)), servers

    assert told(proxy.folder / "etc") == ({"http://instances"}, set(proxy.instances))
    places = [f"--{name}={tmp_path / name}".split("=") for name in ("etc", "run", "log", "cache", "webroot")]
    words = ["--name", NAME, "--instance", "127.0.0.1:8361", "--store", "127.0.0.1:7070/files", *chain(*places)]
    proxy.run(str(INSTALL), *words)
    assert told(tmp_path / "etc") == ({"http://instances", "http://127.0.0.1:7070"}, {"127.0.0.1:8361"})
    for address, expected in ((f"{proxy.url}/healthz", "200"), ("https://other.test/healthz", "421")):
        asked = curl(proxy, "/", "--http1.1", "--request-target", address, "-w", "%{http_code}")
        assert asked.stdout.decode().endswith(expected), address


def test_no_folder_is_listed(proxy: Proxy, client: httpx.Client) -> None:
    """Those that nginx answers from; the application has none."""
    (proxy.folder / "webroot" / ".well-known" / "acme-challenge" / "listed").write_text("x")
    challenges = f"http://127.0.0.1:{proxy.http}/.well-known/acme-challenge/"
    assert httpx.get(f"{challenges}listed", headers={"Host": NAME}).text == "x"
    folder = httpx.get(challenges, headers={"Host": NAME})
    assert (folder.status_code, "listed" in folder.text) == (403, False)
    assert client.get("/_pages/").status_code == 404
    for path in ("/static/", "/static/js/", "/app/static/", "/media/"):
        assert "Index of" not in client.get(path).text, path


def test_trace_is_refused_before_an_instance_hears_of_it(proxy: Proxy, client: httpx.Client) -> None:
    for path in ("/", "/api/v1/contacts", "/auth/session", SCRIPT_PATH):
        answer = client.request("TRACE", path, headers={"Cookie": "seen=secret"})
        assert (answer.status_code, "secret" in answer.text) == (405, False), path
        assert proxy.line_of(answer)["instance"] == "", path


def test_whether_it_lives_is_answered(behind: tuple[Proxy, list[Instance]], client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert httpx.get(f"http://{behind[1][0].address}/readyz").json() == {"status": "ok"}


def test_what_may_be_sent_is_what_the_application_takes(proxy: Proxy, client: httpx.Client) -> None:
    """The application's own refusal, of who is not signed in, says that nginx let it through."""
    assert client.put("/imports/1/upload", content=b"x" * PIECE).status_code == 401
    large = client.put("/imports/1/upload", content=b"x" * (PIECE + 1))
    assert (large.status_code, large.json()["error"]) == (413, "That is more than can be sent at once.")
    assert client.post("/api/v1/contacts", content=b"x" * bodies.MOST).status_code == 401
    large = client.post("/api/v1/contacts", content=b"x" * (bodies.MOST + 1))
    assert large.headers["content-type"] == "application/problem+json"
    assert large.json() | {"request_id": ""} == {
        "type": "about:blank", "title": "Content Too Large", "status": 413, "instance": "/api/v1/contacts",
        "detail": large.json()["error"], "error": "That is more than can be sent at once.", "request_id": "",
    }  # fmt: skip
    assert client.put("/api/v1/imports/1/parts/1", content=b"x" * (bodies.MOST + 1)).status_code == 401
    assert client.post("/auth/session", content=b"x" * 20_000).status_code == 413
    assert f"client_max_body_size {LARGEST_PART // 2**30}g;" in (proxy.parts / "site.conf").read_text()


def test_a_broken_upload_keeps_what_arrived(proxy: Proxy, site: Site) -> None:
    """nginx passes a piece on as it comes: kept here until it is whole, all of it would be lost."""
    cookies = {"__Host-session": site.token(Role.ADMIN)}
    with proxy.client(from_address=next(UNUSED), cookies=cookies) as client:
        begun = client.post("/imports/uploads", json={"name": "a.csv", "size": PIECE, "modified": 1})
        import_id = begun.json()["import_id"]
        head = (
            f"PUT /imports/{import_id}/upload?offset=0 HTTP/1.1\r\nHost: {proxy.public}\r\nOrigin: {proxy.url}\r\n"
            f"Cookie: __Host-session={cookies['__Host-session']}\r\nContent-Length: {PIECE}\r\n\r\n"
        )
        trusted = ssl.create_default_context(cafile=str(proxy.certificate))
        with (
            socket.create_connection(("127.0.0.1", proxy.https)) as plain,
            trusted.wrap_socket(plain, server_hostname=NAME) as broken,
        ):
            broken.sendall(head.encode() + b"x" * (PIECE // 2))

        def place() -> int:
            return int(client.get(f"/imports/{import_id}/upload").json()["offset"])

        def went_on() -> httpx.Response | None:
            """None while more arrives, or what arrived is still being written."""
            at = place()
            sent = client.put(f"/imports/{import_id}/upload?offset={at}", content=b"x" * (PIECE - at))
            return None if sent.status_code in (409, 423) else sent

        until(place)
        rest = waiting.until("it goes on", went_on, within=PATIENCE, every=0.5)  # 20 a second are let through
        assert rest is not None
        assert rest.json() == {"offset": PIECE}


@pytest.mark.parametrize(
    ("method", "path", "times"),
    [("POST", "/auth/session", 100), ("GET", "/api/v1/contacts", 300), ("GET", "/app/static/mark.svg", 500)],
)
def test_a_flood_is_turned_away_and_nobody_else(proxy: Proxy, method: str, path: str, times: int) -> None:
    address, answers, refused = next(UNUSED), [], []
    for _ in range(5):  # a busy machine asks more slowly; what is full stays nearly so
        answers += asyncio.run(_flood(proxy, address, method, path, times))
        refused = [one for one in answers if one.status_code == 429 and one.headers["retry-after"] == "5"]
        if refused:
            break
    assert 0 < len(refused) < len(answers)
    assert {proxy.line_of(one)["instance"] for one in refused[:20]} == {""}
    with proxy.client(from_address=next(UNUSED)) as other:
        assert other.request(method, path).status_code != 429


async def _flood(proxy: Proxy, address: str, method: str, path: str, times: int) -> list[httpx.Response]:
    """All of them at once, each over a connection of its own."""
    trusted = ssl.create_default_context(cafile=str(proxy.certificate))
    limits = httpx.Limits(max_connections=None)
    transport = httpx.AsyncHTTPTransport(verify=trusted, local_address=address, limits=limits)
    headers = {"Host": proxy.public, "Origin": proxy.url}
    url, by_name = f"https://127.0.0.1:{proxy.https}{path}", {"sni_hostname": NAME}
    async with httpx.AsyncClient(transport=transport, headers=headers, timeout=120) as client:
        return await asyncio.gather(*(client.request(method, url, extensions=by_name) for _ in range(times)))


@pytest.mark.parametrize("encoding", ["gzip", "br"])
def test_scripts_come_compressed(proxy: Proxy, encoding: str) -> None:
    """By curl, since Python knows no Brotli."""
    done = curl(proxy, SCRIPT_PATH, "--compressed", "-H", f"Accept-Encoding: {encoding}", "-D", "/dev/stderr")
    headers = done.stderr.decode().lower().splitlines()
    assert f"content-encoding: {encoding}" in headers
    assert headers.count("vary: accept-encoding") == 1
    assert done.stdout == SCRIPT.read_bytes()


def test_files_whose_names_hold_their_hash_are_kept_for_good(proxy: Proxy, client: httpx.Client) -> None:
    answer = client.get(SCRIPT_PATH)
    assert set(answer.headers["cache-control"].split(", ")) == {"public", "immutable", "max-age=31536000"}
    assert "set-cookie" not in answer.headers
    again = client.get(SCRIPT_PATH, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert proxy.line_of(again)["instance"] == ""
    # Streamlit answers with its page where there is no such file: that must not stay for a year.
    for _ in range(2):
        absent = client.get("/static/js/index.absent.js")
        assert absent.headers["cache-control"] == "no-cache"
        assert proxy.line_of(absent)["cache"] == "MISS"


def test_a_browser_stays_with_its_instance(proxy: Proxy, client: httpx.Client) -> None:
    seen: Counter[str] = Counter()
    for _ in range(24):
        with proxy.client(from_address=next(UNUSED)) as browser:
            first = browser.get("/contacts")
            assert "Secure; HttpOnly; SameSite=Lax" in first.headers["set-cookie"]
            answers = [browser.get(path) for path in ("/contacts", "/imports", "/_stcore/health", "/api/v1/contacts")]
            assert all("instance=" not in one.headers.get("set-cookie", "") for one in answers)
            instances = {proxy.line_of(one)["instance"] for one in (first, *answers)}
            assert len(instances) == 1
            seen[instances.pop()] += 1
    assert set(seen) == set(proxy.instances)


def test_the_clients_own_word_on_its_address_counts_for_nothing(proxy: Proxy, site: Site) -> None:
    address = next(UNUSED)
    ticket = sign_ins.issue_ticket(site.people[Role.MANAGER].actor())
    lies = {"X-Forwarded-For": "203.0.113.9", "X-Real-IP": "203.0.113.9", "Forwarded": "for=203.0.113.9"}
    with proxy.client(from_address=address) as client:
        answer = client.post("/auth/session", json={"ticket": ticket}, headers={**lies, "X-Forwarded-Proto": "http"})
    assert answer.status_code == 204
    assert "__Host-session=" in answer.headers["set-cookie"]  # it knows of the https
    assert _last_address(site) == address


def _last_address(site: Site) -> str | None:
    with reading() as session:
        return session.get_one(users.User, site.people[Role.MANAGER].id).last_ip


def test_each_line_of_the_log_is_json_with_the_number_of_its_answer(proxy: Proxy, client: httpx.Client) -> None:
    strange = '/contacts?q="secret%22\\'
    for path in ("/", "/api/v1/contacts?q=secret", "/readyz?q=secret", strange, '/api/v1/"x'):
        answer = client.get(path, headers={"User-Agent": 'a "quoted" \\ one', "Referer": "https://x/?q=secret"})
        line = proxy.line_of(answer)
        assert line["status"] == answer.status_code
        assert "?" not in line["path"]
        if answer.headers["content-type"] == "application/problem+json":
            assert json.loads(answer.content)["request_id"] == line["request_id"]
    logs = "".join(one.read_text() for one in (proxy.folder / "log").iterdir())
    assert "secret" not in logs


def test_both_logs_have_the_same_number(behind: tuple[Proxy, list[Instance]], client: httpx.Client) -> None:
    """nginx gives it; one that the client sends is not taken."""
    proxy, instances = behind
    answer = client.get("/api/v1/contacts", headers={"X-Request-ID": "chosen-by-the-client"})
    line = proxy.line_of(answer)
    asked = next(one for one in instances if one.address == line["instance"])
    number = answer.headers["x-request-id"]
    assert number != "chosen-by-the-client"
    told = until(lambda: [one for one in asked.log.read_text().splitlines() if number in one])
    assert [json.loads(one)["request_id"] for one in told] == [number]


def test_http_2_is_spoken(proxy: Proxy) -> None:
    with proxy.client(from_address=next(UNUSED), http2=True) as client:
        answer = client.get("/")
    assert (answer.http_version, answer.status_code) == ("HTTP/2", 200)
    assert proxy.line_of(answer)["protocol"] == "HTTP/2.0"


@contextmanager
def open_tab(proxy: Proxy, address: str) -> Iterator[tuple[ssl.SSLSocket, str]]:
    """A tab's socket, and the first line of what it was answered."""
    trusted = ssl.create_default_context(cafile=str(proxy.certificate))
    shake = (
        f"GET /_stcore/stream HTTP/1.1\r\nHost: {proxy.public}\r\nOrigin: {proxy.url}\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with (
        socket.create_connection(("127.0.0.1", proxy.https), source_address=(address, 0)) as plain,
        trusted.wrap_socket(plain, server_hostname=NAME) as tab,
    ):
        tab.settimeout(PATIENCE)
        tab.sendall(shake.encode())
        answer = b""
        while not answer.endswith(b"\r\n\r\n") and (more := tab.recv(1)):
            answer += more
        yield tab, answer.split(b"\r\n")[0].decode()


def test_an_address_has_so_many_tabs_open_at_once(proxy: Proxy) -> None:
    address, other = next(UNUSED), next(UNUSED)
    with ExitStack() as held:
        answers = [held.enter_context(open_tab(proxy, address))[1] for _ in range(201)]
        assert answers == ["HTTP/1.1 101 Switching Protocols"] * 200 + ["HTTP/1.1 429 Too Many Requests"]
        assert held.enter_context(open_tab(proxy, other))[1] == "HTTP/1.1 101 Switching Protocols"


def test_an_open_tab_outlives_a_reload(proxy: Proxy) -> None:
    master = psutil.Process(int((proxy.folder / "run" / "nginx.pid").read_text()))
    before = master.children()
    with open_tab(proxy, next(UNUSED)) as (tab, _):
        proxy.run("nginx", "-c", str(proxy.conf), "-s", "reload")
        until(lambda: all(_is_ending(one) for one in before))
        tab.sendall(b"\x89\x80mask")  # an empty ping
        assert tab.recv(2) == b"\x8a\x00"


def _is_ending(worker: psutil.Process) -> bool:
    """It says so in its title while it has connections left, and is gone afterwards."""
    return "shutting down" in (_title(worker) or "shutting down")


def _title(worker: psutil.Process) -> str:
    """Nothing once it is gone."""
    try:
        return " ".join(worker.cmdline())
    except psutil.NoSuchProcess:
        return ""


def test_while_the_file_is_there_everybody_gets_the_page(proxy: Proxy, client: httpx.Client) -> None:
    switch = proxy.parts / "maintenance"
    switch.touch()
    try:
        page, program = client.get("/contacts"), client.post("/api/v1/contacts", json={})
        script, alive = client.get(SCRIPT_PATH), client.get("/healthz")
    finally:
        switch.unlink()
    assert (page.status_code, page.headers["retry-after"], page.headers["cache-control"]) == (503, "60", "no-store")
    assert "Back soon" in page.text
    assert "What you saved is kept." in page.text
    assert (program.status_code, program.json()["status"]) == (503, 503)
    assert (script.status_code, alive.status_code) == (503, 200)
    assert client.get("/contacts").status_code == 200


def test_an_instance_is_taken_out_and_let_in_again(proxy: Proxy, client: httpx.Client) -> None:
    first, second = proxy.instances
    script = str(DEPLOYED / "instance.sh")

    def asked() -> set[str]:
        """Each time by a new connection: the old processes go on with those that they have, until they are idle."""
        answers = []
        for _ in range(30):
            client.cookies.clear()
            answers.append(client.get("/contacts", headers={"Connection": "close"}))
        assert {one.status_code for one in answers} == {200}
        return {proxy.line_of(one)["instance"] for one in answers}

    def after_reload(wanted: set[str]) -> None:
        until(lambda: asked() == wanted)

    proxy.run(script, "down", first)
    after_reload({second})
    last = subprocess.run([script, "down", second], env=proxy.environment, capture_output=True, text=True)
    assert last.returncode == 1
    assert "is the last one that gets requests" in last.stderr
    assert asked() == {second}
    proxy.run(script, "up", first)
    after_reload({first, second})


def test_an_instance_is_out_once_no_process_of_nginx_sends_it_anything(proxy: Proxy) -> None:
    """Not when they were told: one that is late would send requests to what is stopped by then."""
    script, (first, _) = str(DEPLOYED / "instance.sh"), proxy.instances
    master = psutil.Process(int((proxy.folder / "run" / "nginx.pid").read_text()))
    late = next(one for one in master.children() if "worker process" in _title(one) and not _is_ending(one))
    late.suspend()
    taking_out = subprocess.Popen([script, "down", first], env=proxy.environment)
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            taking_out.wait(3)
        late.resume()
        assert taking_out.wait(30) == 0
        assert _is_ending(late)
    finally:
        with suppress(psutil.NoSuchProcess):
            late.resume()
        taking_out.wait()
        proxy.run(script, "up", first)


def test_what_was_taken_out_stays_out_when_it_is_installed_again(proxy: Proxy, client: httpx.Client) -> None:
    first, second = proxy.instances
    script = str(DEPLOYED / "instance.sh")
    proxy.run(script, "down", second)
    (proxy.parts / "maintenance").touch()
    try:
        proxy.install()
        assert states(proxy) == {first: "up", second: "down"}
        assert (proxy.parts / "maintenance").exists()
        gone = Proxy(proxy.folder, [second], proxy.http, proxy.https)
        gone.install()
        assert states(proxy) == {second: "up"}, "the only one"
    finally:
        (proxy.parts / "maintenance").unlink()
        proxy.install()
        proxy.run(script, "up", second)
    assert states(proxy) == {first: "up", second: "up"}


def test_an_instance_that_hangs_gets_nothing_until_it_answers_again(
    behind: tuple[Proxy, list[Instance]],
) -> None:
    proxy, (first, second) = behind
    assert second.process is not None
    with watched(proxy):
        second.process.send_signal(signal.SIGSTOP)
        try:
            until(lambda: states(proxy) == {first.address: "up", second.address: "unready"})
            until(lambda: {_answered_soon(proxy) for _ in range(5)} == {True})  # as soon as nginx read it
        finally:
            second.process.send_signal(signal.SIGCONT)
        until(lambda: states(proxy) == {first.address: "up", second.address: "up"})


def test_one_that_is_not_ready_is_taken_out_unless_none_is() -> None:
    with stand_in() as one, stand_in() as two, proxy_before(one.address, two.address) as proxy:
        with watched(proxy) as said:
            two.ready = False
            until(lambda: states(proxy) == {one.address: "up", two.address: "unready"})
            one.ready = False
            asked = one.asked
            until(lambda: one.asked > asked + 3)
            assert states(proxy) == {one.address: "up", two.address: "unready"}, "nobody would be left"
            one.ready = two.ready = True
            until(lambda: states(proxy) == {one.address: "up", two.address: "up"})
            proxy.run(str(DEPLOYED / "instance.sh"), "down", two.address)
            asked = one.asked
            until(lambda: one.asked > asked + 3)
            assert states(proxy) == {one.address: "up", two.address: "down"}, "a person's word counts"
        assert said() == [f"{two.address} is not ready: it gets nothing more.", f"{two.address} is ready again."]


def _answered_soon(proxy: Proxy) -> bool:
    """A visitor of whom no instance knows yet, from an address of its own: it asks more than one may in a while."""
    with proxy.client(from_address=RESTLESS) as client, suppress(httpx.TimeoutException):
        return client.get("/contacts", timeout=5).status_code == 200
    return False


def states(proxy: Proxy) -> dict[str, str]:
    """Which instances get requests: up, or down by a person, or unready."""
    found = {}
    for line in (proxy.parts / "instances.conf").read_text().splitlines():
        _, address, rest = line.split(maxsplit=2)
        found[address] = "unready" if rest.endswith("down; # not ready") else "down" if " down;" in line else "up"
    return found


@contextmanager
def watched(proxy: Proxy) -> Iterator[Callable[[], list[str]]]:
    """watch.sh runs; what it said."""
    log = proxy.folder / "watch.log"
    with log.open("wb") as written:
        environment = proxy.environment | {"EVERY": "0.3"}
        watching = subprocess.Popen([DEPLOYED / "watch.sh"], env=environment, stdout=written, stderr=written)
    try:
        yield lambda: [line for line in log.read_text().splitlines() if "[notice]" not in line]
    finally:
        watching.kill()
        watching.wait()


@dataclass
class StandIn:
    """Of an instance: only whether it is ready."""

    address: str = ""
    ready: bool = True
    asked: int = 0


@contextmanager
def stand_in() -> Iterator[StandIn]:
    made = StandIn()

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked += 1
            self.send_response(200 if made.ready else 503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        made.address = f"127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield made
        server.shutdown()


@pytest.mark.browser
def test_a_killed_instance_is_missed_by_nobody(behind: tuple[Proxy, list[Instance]]) -> None:
    """The last one: from then on there is one instance."""
    proxy, instances = behind
    with sync_playwright() as playwright:
        path = chromium.executable(playwright.chromium.executable_path)
        flags = [*chromium.FLAGS, f"--host-resolver-rules=MAP {NAME} 127.0.0.1"]
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        page = browser.new_context(ignore_https_errors=True, viewport={"width": 1440, "height": 900}).new_page()
        page.set_default_timeout(chromium.PATIENCE)
        blocked: list[str] = []
        page.on("console", lambda line: blocked.append(line.text) if "Content Security" in line.text else None)
        page.goto(f"{proxy.url}/contacts?q=oscar")
        page.get_by_label("Work e-mail").fill("admin@example.com")
        page.get_by_role("textbox", name="Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        expect(page.get_by_test_id("stDataFrame")).to_be_visible()

        killed = _instance_of({one["name"]: one["value"] for one in page.context.cookies()}, proxy, instances)
        other = next(one for one in instances if one is not killed)
        with page.expect_event("websocket"):
            killed.kill()
        _ask_without_cookie(proxy, killed, other)
        page.get_by_role("link", name="Industries").click()  # nobody is asked to sign in again
        expect(page.get_by_role("heading", name="Industries", exact=True)).to_be_visible()
        page.get_by_role("link", name="Contacts").click()
        expect(page.get_by_text(f"{ROWS} contacts", exact=True)).to_be_visible()
        page.goto("about:blank")
        until(
            lambda: [one for one in _streams(proxy) if one["status"] == 101 and one["instance"].endswith(other.address)]
        )
        assert blocked == []
        browser.close()


def _instance_of(cookies: dict[str, str], proxy: Proxy, instances: list[Instance]) -> Instance:
    with proxy.client(cookies={"instance": cookies["instance"]}) as same:
        address = proxy.line_of(same.get("/contacts"))["instance"]
    return next(one for one in instances if one.address == address)


def _ask_without_cookie(proxy: Proxy, killed: Instance, other: Instance) -> None:
    """Each new visitor is answered, whichever instance was meant."""
    with proxy.client(from_address=next(UNUSED)) as client:
        answers = []
        for _ in range(30):
            client.cookies.clear()
            answers.append(client.get("/contacts"))
    assert {one.status_code for one in answers} == {200}
    tried = {proxy.line_of(one)["instance"] for one in answers}
    assert tried <= {f"{killed.address}, {other.address}", other.address}


def _streams(proxy: Proxy) -> list[dict[str, Any]]:
    return [one for one in proxy.logged() if one["path"] == "/_stcore/stream"]
