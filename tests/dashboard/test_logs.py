"""What the processes log while people work and things fail: JSON with the ids that join lines, and nobody's data."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from models import imports, tokens
from models.database import reading, writing
from models.permissions import OPERATOR, Role
from tests.dashboard.api.importing import as_csv
from tests.dashboard.conftest import ROOT, Site, served, server_environment
from tests.dashboard.tab import tab

NAME, SURNAME, EMAIL, PHONE = "Thessalonike", "Quarrington", "th.quarrington@secret-mail.example", "+4930901820"
JSON = {"APPOINTMENT360_LOG_FORMAT": "json"}
GIVEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logging")


@pytest.fixture(scope="module")
def web(site: Site, folder: Path) -> Iterator[str]:
    slow = {"APPOINTMENT360_SLOW_REQUEST_SECONDS": "0.000001"}
    with served(site.url, folder, FORWARDED_ALLOW_IPS="127.0.0.1", **JSON, **slow) as address:
        yield address


@pytest.fixture
def manager(web: str, site: Site) -> Iterator[httpx.Client]:
    _, token = tokens.create_for(site.people[Role.ADMIN].email, "a test", scopes=None, by=OPERATOR)
    with httpx.Client(base_url=f"{web}/api/v1", headers={"authorization": f"Bearer {token}"}, timeout=30) as client:
        yield client


@contextmanager
def refusing_her() -> Iterator[None]:
    """A database that will not have her, and says so with all that it knows."""
    with writing(OPERATOR) as session:
        session.execute(
            text("""CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF NEW.last_name = 'Quarrington' THEN
                RAISE EXCEPTION 'no room for %', NEW.email USING ERRCODE = 'unique_violation',
                    DETAIL = format('Key (email)=(%s) already exists.', NEW.email);
            END IF; RETURN NEW; END $$;
            CREATE TRIGGER refuse BEFORE INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION refuse()""")
        )
    yield
    with writing(OPERATOR) as session:
        session.execute(text("DROP TRIGGER refuse ON contacts; DROP FUNCTION refuse"))


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def worker(folder: Path, site: Site, *command: str) -> list[dict[str, Any]]:
    """What a process of the worker's logs."""
    environment = server_environment(site.url, APPOINTMENT360_HOME=str(folder), **JSON)
    done = subprocess.run(
        [sys.executable, *command], env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    with (folder / "worker.log").open("a") as log:
        log.write(done.stderr)
    return [json.loads(line) for line in done.stderr.splitlines()]


def orders(client: httpx.Client, folder: Path, site: Site, answer: httpx.Response) -> list[dict[str, Any]]:
    """Carry out what the answer promises, in a process as the sweep starts one."""
    assert answer.status_code == 202, answer.text
    number = int(answer.headers["location"].rpartition("/")[2])
    order = str(imports.get(number, by=OPERATOR).orders)
    return worker(folder, site, "-m", "pipelines.import_orders", str(number), order)


def test_nobodys_data_is_logged(web: str, manager: httpx.Client, site: Site, folder: Path) -> None:
    cookie = f"session={site.token(Role.ADMIN)}"
    asked = {"q": f"{NAME} {SURNAME}", "email": EMAIL}
    assert manager.get("/contacts", params=asked).status_code == 200
    assert manager.get("/contacts", params={"employees.gte": EMAIL}).status_code == 422
    assert httpx.get(f"{web}/contacts", params=asked).status_code == 200
    assert httpx.get(f"{web}/nothing/{EMAIL}").status_code in (200, 404)
    assert httpx.get(f"{web}/imports/1/{EMAIL}", headers={"cookie": cookie}).status_code == 404
    with tab(web, cookie) as one:
        one.run("contacts", f"q={NAME}&email={EMAIL}")

    her = {"first_name": NAME, "last_name": SURNAME, "email": EMAIL, "home_phone": PHONE}
    data = as_csv([her, {**her, "last_name": "Other"}])
    with refusing_her():
        refused = manager.post("/contacts", json=her)
        assert refused.status_code == 500
        begun = manager.post("/imports", json={"name": f"{NAME}.csv", "size": len(data), "part_size": 1_000_000}).json()
        place = f"/imports/{begun['import_id']}"
        manager.put(f"{place}/parts/1", content=data).raise_for_status()
        orders(manager, folder, site, manager.post(f"{place}/upload/complete"))
        if manager.get(place).json()["state"] == "opened":
            chosen = manager.get(f"{place}/mapping").json()["chosen"]
            orders(manager, folder, site, manager.put(f"{place}/mapping", json=chosen))
        plan = manager.get(f"{place}/plan").json()["plan"]
        failed = orders(manager, folder, site, manager.post(f"{place}/commit", json={"plan": plan}))
    assert manager.get(place).json()["error"].startswith("The database refused")
    wanted = manager.post("/exports", json={"format": "csv", "filter": f"email={EMAIL}", "columns": ["email"]})
    program = "from pipelines import flows, export_contacts; flows.bind_database(); export_contacts.run({})"
    worker(folder, site, "-c", program.format(wanted.json()["id"]))
    with writing(OPERATOR) as session:
        session.execute(text("ALTER TABLE industries RENAME TO gone"))
    with tab(web, cookie) as one:
        one.run("industries", f"q={NAME}")
    with writing(OPERATOR) as session:
        session.execute(text("ALTER TABLE gone RENAME TO industries"))

    everything = "".join(log.read_text() for log in folder.rglob("*.log"))
    everything = everything.replace(f"ready at http://127.0.0.1:{httpx.URL(web).port}", "")  # its own address
    names = [person.name for person in site.people.values()] + [person.email for person in site.people.values()]
    for word in (NAME, SURNAME, EMAIL, EMAIL.partition("@")[0], PHONE, "127.0.0.1", *names):
        assert word not in everything, word

    web_lines = lines(folder / "web.log")
    [of_it] = [one for one in web_lines if one.get("status") == 500 and one["event"] == "request"]
    assert of_it["request_id"] == refused.json()["request_id"]
    told = next(one for one in web_lines if one.get("errors") and one.get("request_id") == of_it["request_id"])
    assert told["person_id"] == of_it["person_id"] == site.people[Role.ADMIN].id
    assert told["errors"][0]["type"] == "sqlalchemy.exc.IntegrityError"
    assert told["errors"][0]["message"].startswith("23505")
    assert any("models/contacts" in frame for frame in told["errors"][0]["stack"])
    screen = next(one for one in web_lines if one["logger"] == "dashboard.failures")
    assert screen["person_id"] == site.people[Role.ADMIN].id
    assert screen["request_id"]
    [one] = [one for one in failed if one["level"] == "error"]
    assert one["part"] == "worker"
    assert one["event"].startswith("Unavailable from IntegrityError: 23505")


def test_a_failure_leaves_the_connection_to_the_next_request(manager: httpx.Client) -> None:
    """Whoever shares it, as a proxy does, would have a request of somebody else's cut off."""

    def asked(method: str, path: str, **more: Any) -> tuple[int, object]:
        answer = manager.request(method, path, **more)
        return answer.status_code, answer.extensions["network_stream"].get_extra_info("client_addr")

    with refusing_her():
        failed, through = asked("POST", "/contacts", json={"first_name": NAME, "last_name": SURNAME, "email": EMAIL})
    assert failed == 500
    assert asked("GET", "/health") == (200, through)


def test_a_line_for_each_request(web: str, manager: httpx.Client, site: Site, folder: Path) -> None:
    answer = manager.get("/contacts/1", headers={"x-request-id": GIVEN})
    with reading() as session:
        number = session.scalar(text("SELECT min(id) FROM contacts"))
    manager.get(f"/contacts/{number}", headers={"x-forwarded-for": "203.0.113.7", "x-request-id": GIVEN})
    manager.get("/health", headers={"x-forwarded-for": "203.0.113.7", "x-request-id": "with spaces\tand more"})
    httpx.get(f"{web}/healthz")
    found = [one for one in lines(folder / "web.log") if one["event"] == "request"]
    by_id = {one["request_id"]: one for one in found}
    assert answer.headers["x-request-id"] != GIVEN  # whoever comes without the proxy gives no number
    one = by_id[GIVEN]
    assert (one["method"], one["route"], one["status"]) == ("GET", "/api/v1/contacts/{contact_id}", 200)
    assert one["person_id"] == site.people[Role.ADMIN].id
    assert one["bytes"] > 100
    assert one["seconds"] > 0
    assert (one["part"], one["level"], one["logger"]) == ("web", "info", "dashboard.access_log")
    assert all(set(one["request_id"]) <= set("0123456789abcdef") for one in found)
    assert "/healthz" not in {one["route"] for one in found}
    slow = [one for one in lines(folder / "web.log") if one["event"].startswith("slow: ")]
    of_it = [one for one in slow if one.get("request_id") == GIVEN]
    assert [(one["level"], one["route"]) for one in of_it] == [("warning", "GET /contacts/{contact_id:number}")]
    assert of_it[0]["statements"] > 0
    assert 0 < of_it[0]["database_seconds"] <= of_it[0]["seconds"]
