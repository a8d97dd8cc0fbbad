import hashlib
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pyotp
import pytest
from sqlalchemy import func, select
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from deploy.embedded_postgres import Server
from models import exports, file_places, file_store, second_factors, settings, sign_ins, stored_files
from models.audit import AuditLine, Event
from models.database import reading, writing
from models.filters import Filters
from models.permissions import OPERATOR, Role
from tests import people
from tests.dashboard.conftest import Site, served, server_command, server_environment
from tests.pipelines import nanio, s3


@pytest.fixture
def client(web: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=web) as client:
        yield client


def ticket(site: Site, role: Role = Role.ADMIN) -> dict[str, str]:
    return {"ticket": sign_ins.issue_ticket(site.people[role].actor())}


def from_here(client: httpx.Client) -> dict[str, str]:
    return {"origin": str(client.base_url).rstrip("/")}


def sign_in(client: httpx.Client, site: Site, role: Role = Role.ADMIN) -> str:
    """Signs the client in; returns the cookie's value."""
    client.post("/auth/session", json=ticket(site, role), headers=from_here(client)).raise_for_status()
    return client.cookies["session"]


def flags(answer: httpx.Response) -> tuple[str, set[str]]:
    """The cookie's name, and its attributes without expiry times."""
    pair, *attributes = answer.headers["set-cookie"].split("; ")
    return pair.partition("=")[0], {one.lower() for one in attributes if not one.lower().startswith("expires")}


def test_the_cookie_over_http_and_over_https(client: httpx.Client, site: Site) -> None:
    plain = client.post("/auth/session", json=ticket(site), headers=from_here(client))
    assert plain.status_code == 204
    assert flags(plain) == ("session", {"httponly", "path=/", "samesite=lax"})
    behind_tls = {"origin": f"https://{client.base_url.netloc.decode()}", "x-forwarded-proto": "https"}
    secure = client.post("/auth/session", json=ticket(site), headers=behind_tls)
    assert flags(secure) == ("__Host-session", {"httponly", "path=/", "samesite=lax", "secure"})
    assert secure.headers["strict-transport-security"]


def test_who_stays_signed_in_keeps_the_cookie_for_thirty_days(client: httpx.Client, site: Site) -> None:
    body = {"ticket": sign_ins.issue_ticket(site.people[Role.ADMIN].actor(), stays=True)}
    staying = client.post("/auth/session", json=body, headers=from_here(client))
    assert flags(staying) == ("session", {"httponly", "path=/", "samesite=lax", "max-age=2592000"})


def test_a_ticket_for_the_second_step_opens_nothing(client: httpx.Client, site: Site) -> None:
    person = people.person(email="two.steps@example.com", name="Two Steps", role=Role.ANALYST)
    begun = second_factors.begin(by=person.actor())
    second_factors.confirm(pyotp.TOTP(begun.secret).now(), by=person.actor())
    step = sign_ins.check_password(person.email, people.PASSWORD, address=None)
    answer = client.post("/auth/session", json={"ticket": step.ticket}, headers=from_here(client))
    assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)


def test_a_ticket_works_once(client: httpx.Client, site: Site) -> None:
    once = ticket(site)
    assert client.post("/auth/session", json=once, headers=from_here(client)).status_code == 204
    again = client.post("/auth/session", json=once, headers=from_here(client))
    assert (again.status_code, "set-cookie" in again.headers) == (401, False)


@pytest.mark.parametrize("origin", [{}, {"origin": "https://elsewhere.example"}, {"origin": "null"}])
@pytest.mark.parametrize("path", ["/auth/session", "/auth/sign-out"])
def test_other_sites_can_neither_sign_in_nor_out(
    client: httpx.Client, site: Site, path: str, origin: dict[str, str]
) -> None:
    assert client.post(path, json=ticket(site), headers=origin).status_code == 403


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        ("ticket=x", "application/x-www-form-urlencoded", 415),
        ("{", "application/json", 400),
        ("[]", "application/json", 400),
        ('{"ticket": 5}', "application/json", 400),
        ('{"ticket": "never issued"}', "application/json", 401),
        ('{"ticket": "' + "x" * 5000 + '"}', "application/json", 400),
    ],
)
def test_what_is_no_ticket_gets_no_session(client: httpx.Client, body: str, kind: str, status: int) -> None:
    answer = client.post("/auth/session", content=body, headers={**from_here(client), "content-type": kind})
    assert (answer.status_code, "set-cookie" in answer.headers) == (status, False)
    assert answer.headers["cache-control"] == "no-store"


def test_an_old_cookie_is_worth_nothing_after_signing_out(client: httpx.Client, site: Site) -> None:
    old = sign_in(client, site)
    upload = "/_stcore/upload_file/any/file"
    assert client.put(upload, headers=from_here(client)).status_code != 401
    out = client.post("/auth/sign-out", headers=from_here(client))
    assert out.status_code == 204
    assert "Max-Age=0" in out.headers["set-cookie"]
    client.cookies.clear()
    assert client.put(upload, headers={**from_here(client), "cookie": f"session={old}"}).status_code == 401
    assert sign_ins.actor_of(old) is None


def test_uploads_and_media_ask_who_is_there(client: httpx.Client) -> None:
    upload = "/_stcore/upload_file/any/file"
    assert client.put(upload, content=b"x" * 1000, headers=from_here(client)).status_code == 401
    assert client.put(upload, content=b"x").status_code == 403
    assert client.get("/media/anything.png").status_code == 401


@pytest.mark.parametrize("path", ["metrics", "agent/mcp", "agent/openapi.json", "script-health-check", "metrics/"])
def test_streamlits_other_routes_are_closed(client: httpx.Client, path: str) -> None:
    assert client.get(f"/_stcore/{path}").status_code == 404


def test_a_page_of_another_site_cannot_open_the_socket(client: httpx.Client) -> None:
    handshake = {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    foreign = client.get("/_stcore/stream", headers={**handshake, "origin": "https://elsewhere.example"})
    assert foreign.status_code == 403
    assert client.get("/_stcore/stream", headers=handshake).status_code == 403


def test_security_headers_are_on_every_answer(client: httpx.Client) -> None:
    for path in ("/", "/_stcore/metrics", "/api/v1/health", "/nothing/here", "/healthz"):
        headers = client.get(path).headers
        policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
        assert "unsafe" not in policy["script-src"]
        assert policy["frame-ancestors"] == "'none'"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert len(headers["x-request-id"]) == 16


def test_no_browser_keeps_what_was_asked_for(client: httpx.Client) -> None:
    """Signed in or not: what answers there has somebody's data."""
    for path in (
        "/audit/log.csv", "/auth/session", "/contacts/difference.csv", "/exports/1/file", "/imports/1/rejects.csv",
        "/media/1", "/pay/subscription", "/performance/report.html", "/quality/report.html", "/api/v1/contacts",
    ):  # fmt: skip
        assert client.get(path).headers["cache-control"] == "no-store", path


def test_health_and_readiness(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ok"}
    assert client.get("/api/v1/health").json() in [{"status": "ok", "disk": found} for found in ("ok", "low")]


def test_without_its_database_the_web_is_up_but_not_ready(tmp_path: Path) -> None:
    with served("postgresql://nobody@127.0.0.1:1/nothing", tmp_path) as address:
        assert httpx.get(f"{address}/healthz").status_code == 200
        answer = httpx.get(f"{address}/readyz", timeout=10)
    assert answer.status_code == 503
    assert "The database does not answer" in answer.json()["status"]


def test_on_an_empty_database_the_web_is_not_ready(postgres: Server, tmp_path: Path) -> None:
    postgres.ensure_database("without_schema")
    with served(postgres.url("without_schema"), tmp_path) as address:
        answer = httpx.get(f"{address}/readyz", timeout=10)
    assert answer.status_code == 503
    assert "run `appointment360 migrate`" in answer.json()["status"]


def test_without_a_database_url_it_says_what_to_do(tmp_path: Path) -> None:
    command = [*server_command(), "--port", "0"]
    ended = subprocess.run(
        command, env=server_environment(None), cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert ended.returncode != 0
    assert "set DATABASE_URL, or start everything with `appointment360 up`" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.fixture(scope="module")
def web(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """It knows an S3 that checks signatures, in which some of its files lie."""
    with pytest.MonkeyPatch.context() as patch, nanio.serving(tmp_path_factory.mktemp("store")) as endpoint:
        s3.use(endpoint, patch)
        s3.client(endpoint).create_bucket(Bucket=s3.BUCKET)
        with served(site.url, tmp_path_factory.mktemp("elsewhere")) as address:
            yield address
    settings.settings.cache_clear()


def content(export: exports.Export) -> bytes:
    """Of its file, wherever it lies."""
    if not file_places.is_s3(export.path):
        return Path(export.path).read_bytes()
    place, name = stored_files.place_of(export.path)
    return b"".join(place.read(name))


@pytest.fixture(params=["folder", "s3"])
def export(request: pytest.FixtureRequest, web: str, site: Site, tmp_path: Path) -> exports.Export:
    """A finished export of the analyst's."""
    by = site.people[Role.ANALYST].actor()
    export_id = exports.request(filters=Filters(), columns=["first_name"], format="csv", by=by)
    file = tmp_path / "made.csv"
    file.write_text("First Name\nZoë\n" * 1000)
    path, size = str(file), file.stat().st_size
    if request.param == "s3":
        path = file_store.place(f"s3://{s3.BUCKET}/exports/{export_id}").put(file, "made.csv")
    with writing(OPERATOR) as session:
        stored = session.get_one(exports.Export, export_id)
        stored.state, stored.path, stored.rows, stored.file_name = exports.State.DONE, path, 1000, "kontakte-ü.csv"
        stored.bytes, stored.sha256 = size, hashlib.sha256(file.read_bytes()).hexdigest()
    return exports.get(export_id, by=by)


def test_an_export_is_downloaded_by_its_owner_and_by_administrators(
    client: httpx.Client, site: Site, export: exports.Export
) -> None:
    for role in (Role.ANALYST, Role.ADMIN):
        sign_in(client, site, role)
        answer = client.get(f"/exports/{export.id}/file")
        assert answer.content == content(export)
        assert answer.headers["content-length"] == str(export.bytes)
        assert answer.headers["content-encoding"] == "identity"
        assert answer.headers["content-disposition"] == "attachment; filename*=utf-8''kontakte-%C3%BC.csv"
        assert answer.headers["cache-control"] == "no-store"
    with reading() as session:
        lines = select(AuditLine.actor_name).where(AuditLine.event == Event.EXPORT_DOWNLOADED).order_by(AuditLine.id)
        assert session.scalars(lines.where(AuditLine.subject == f"export {export.id}")).all() == [
            "An analyst",
            "An admin",
        ]


def test_a_broken_download_goes_on_where_it_stopped(client: httpx.Client, site: Site, export: exports.Export) -> None:
    sign_in(client, site, Role.ANALYST)
    path, whole = f"/exports/{export.id}/file", content(export)
    with client.stream("GET", path) as broken:
        tag = broken.headers["etag"]
        assert broken.headers["accept-ranges"] == "bytes"
    rest = client.get(path, headers={"range": "bytes=1000-", "if-range": tag})
    assert (rest.status_code, rest.content) == (206, whole[1000:])
    assert rest.headers["content-range"] == f"bytes 1000-{len(whole) - 1}/{len(whole)}"
    other = client.get(path, headers={"range": "bytes=1000-", "if-range": '"of another file"'})
    assert (other.status_code, other.content) == (200, whole)
    assert client.get(path, headers={"range": f"bytes={len(whole)}-"}).status_code == 416
    assert client.head(path).headers["content-length"] == str(len(whole))
    with reading() as session:  # once, whatever was fetched in parts
        lines = select(AuditLine).where(AuditLine.event == Event.EXPORT_DOWNLOADED)
        assert len(session.scalars(lines.where(AuditLine.subject == f"export {export.id}")).all()) == 1


@pytest.mark.parametrize("part", ["bytes=1-", "bytes=-1000000", "bytes=1-99, 100-"])
def test_who_takes_all_but_the_first_byte_is_in_the_audit_log(
    client: httpx.Client, site: Site, export: exports.Export, part: str
) -> None:
    sign_in(client, site, Role.ANALYST)
    several_of_a_store = "," in part and file_places.is_s3(export.path)  # are answered with all of it
    taken = client.get(f"/exports/{export.id}/file", headers={"range": part})
    assert taken.status_code == (200 if several_of_a_store else 206)
    with reading() as session:
        lines = select(func.count()).where(AuditLine.event == Event.EXPORT_DOWNLOADED)
        assert session.scalar(lines.where(AuditLine.subject == f"export {export.id}")) == 1


def test_an_export_is_refused_to_others(client: httpx.Client, site: Site, export: exports.Export) -> None:
    assert client.get(f"/exports/{export.id}/file").status_code == 401
    sign_in(client, site, Role.MANAGER)
    assert client.get(f"/exports/{export.id}/file").status_code == 404
    for unknown in (999999, 99999999999, 10**30, "9" * 5000, "0" * 5000):
        assert client.get(f"/exports/{unknown}/file").status_code == 404


def test_an_export_without_its_file_says_so(client: httpx.Client, site: Site, export: exports.Export) -> None:
    if file_places.is_s3(export.path):
        place, name = stored_files.place_of(export.path)
        place.remove(name)
    else:
        Path(export.path).unlink()
    sign_in(client, site, Role.ANALYST)
    answer = client.get(f"/exports/{export.id}/file")
    assert answer.status_code == 404
    assert "has no file" in answer.text


@pytest.fixture(scope="module")
def strict(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A web that lets an address ask 40 times and a person 5 times a minute."""
    limits = {"REQUESTS_PER_ADDRESS": "40", "REQUESTS_PER_PERSON": "5", "SOCKETS_PER_ADDRESS": "2"}
    environment = {f"APPOINTMENT360_{name}": value for name, value in limits.items()}
    with served(site.url, tmp_path_factory.mktemp("strict"), **environment) as address:
        yield address


def test_a_person_and_an_address_that_ask_too_often_wait(strict: str, site: Site) -> None:
    with httpx.Client(base_url=strict) as client:
        sign_in(client, site, Role.ANALYST)
        answers = [client.get("/exports/999999/file") for _ in range(6)]
        assert [one.status_code for one in answers] == [404] * 5 + [429]
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
        assert answers[-1].text.startswith("Too many requests of yours. Try again in ")
        sign_in(client, site, Role.MANAGER)  # another person at the same address goes on
        assert client.get("/exports/999999/file").status_code == 404
    other = {"x-forwarded-for": "2001:db8:1:2::1"}
    with httpx.Client(base_url=strict, headers=other) as client:
        asked = [client.get("/nothing") for _ in range(39)]
        assert {one.status_code for one in asked} == {200}  # Streamlit's page, whatever the path
        neighbour = {"x-forwarded-for": "2001:db8:1:2:ffff::9"}  # of the same network
        assert client.get("/nothing", headers=neighbour).status_code == 200
        assert client.post("/auth/session", json={}, headers=from_here(client)).status_code == 429
        assert client.get("/healthz").status_code == 200
        assert client.get("/nothing", headers={"x-forwarded-for": "2001:db8:1:3::1"}).status_code == 200


def test_an_address_has_so_many_sockets(strict: str) -> None:
    address = f"ws{strict.removeprefix('http')}/_stcore/stream"
    with ExitStack() as open_ones:
        for _ in range(2):
            open_ones.enter_context(connect(address, origin=Origin(strict)))
        with pytest.raises(InvalidStatus, match="403"), connect(address, origin=Origin(strict)):
            pass
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:  # closing takes the server a moment
        with suppress(InvalidStatus), connect(address, origin=Origin(strict)):
            return
    pytest.fail("closed sockets are never given back")
