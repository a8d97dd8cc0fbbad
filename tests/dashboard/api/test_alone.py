"""`uvicorn dashboard.api:api`, without the web."""

import email
import os
import subprocess
import sys
import time
from email.policy import default
from pathlib import Path

import httpx
from sqlalchemy import text

from models import account_links, awaited, tokens
from models.contacts import records
from models.database import reading
from models.permissions import OPERATOR, Role
from tests.dashboard.api.servers import ROOT, instance
from tests.people import PASSWORD, person

NEW = "purple tractor sings loudly"


def test_it_loads_no_streamlit() -> None:
    program = "import sys, dashboard.api; print([one for one in sys.modules if one.partition('.')[0] == 'streamlit'])"
    assert subprocess.check_output([sys.executable, "-c", program], cwd=ROOT, text=True) == "[]\n"


def test_without_a_database_it_says_what_to_set(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    command = [sys.executable, "-m", "uvicorn", "dashboard.api:api", "--port", "0", "--log-level", "warning"]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert ended.returncode != 0
    assert ended.stdout == ""
    [sentence, *_] = said = ended.stderr.strip().splitlines()
    assert "The API needs a database: set DATABASE_URL, or start everything with" in sentence
    assert len(said) <= 2, "and no traceback"


def test_an_account_lives_by_it_alone(db: str, tmp_path: Path) -> None:
    """A forgotten password, its message, the link in it, and a session with the new one."""
    person(email="ann@example.com", name="Ann", role=Role.ANALYST)
    with instance(db, tmp_path) as one, httpx.Client(base_url=one.address) as program:
        assert program.get("/ready").json()["status"] == "ok"
        assert program.post("/password-resets", json={"email": "ann@example.com"}).status_code == 202
        link = account_links.look(token := _mailed(tmp_path / "outbox"))
        assert link.email == "ann@example.com"
        signed_in = program.post("/links/password", json={"link": token, "password": NEW}).json()
        program.headers["authorization"] = f"Bearer {signed_in['token']}"
        assert program.get("/profile").json()["name"] == "Ann"
        assert program.post("/sessions", json={"email": "ann@example.com", "password": PASSWORD}).status_code == 401


def test_who_asks_and_what_is_read_take_no_thread(db: str, tmp_path: Path) -> None:
    """The connections of the server's loop were asked last what most requests ask."""
    person(email="ann@example.com", name="Ann", role=Role.ANALYST)
    _, token = tokens.create_for("ann@example.com", "a test", by=OPERATOR)
    number = records.create({"first_name": "Bo", "notes": "hello"}, by=OPERATOR)
    with instance(db, tmp_path) as one, httpx.Client(base_url=one.address) as program:
        program.headers["authorization"] = f"Bearer {token}"
        for _ in range(5):  # the first ones of an hour are counted in a thread
            assert program.get(f"/contacts/{number}").json()["notes"] == "hello"
            assert program.get("/contacts").json()["contacts"]
        with reading() as session:
            asked = text("SELECT string_agg(query, ' ') FROM pg_stat_activity WHERE application_name = :name")
            last = session.scalar(asked, {"name": awaited.NAME})
    assert "contacts" in last


def _mailed(outbox: Path) -> str:
    """The token of the link in the message that lies there, once it does."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for file in outbox.glob("*.eml"):
            message = email.message_from_bytes(file.read_bytes(), policy=default)
            return message.get_content().partition("?link=")[2].split()[0]
        time.sleep(0.05)
    raise AssertionError("nothing was mailed")
