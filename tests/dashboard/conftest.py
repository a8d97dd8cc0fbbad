"""A site to look at: contacts, four people, and the web as its own process on a free port."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from streamlit import config
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from dashboard import places, session
from deploy.embedded_postgres import Server
from models import database, kept, passwords, sign_ins, users
from models.database import writing
from models.permissions import OPERATOR, Role
from tests.dashboard import contacts_data
from tests.waiting import free_port

ROOT = Path(__file__).parents[2]
PASSWORD = "correct horse battery"
NARROW = ("first_name", "last_name", "title", "country")  # what the analyst may see, and the narrow manager
NARROW_MANAGER = "narrow manager"


@dataclass(frozen=True)
class Site:
    """The data behind the screens. `in_germany` of the `contacts_data.ROWS` contacts are in Germany."""

    url: str
    in_germany: int
    people: dict[Role | str, users.User]

    def token(self, who: Role | str) -> str:
        """A new session of the person with that role, as after signing in."""
        ticket = sign_ins.issue_ticket(self.people[who].actor())
        return sign_ins.redeem_ticket(ticket, address="127.0.0.1", device="a test")


def _filled(url: str) -> Site:
    stored = passwords.digest(PASSWORD)  # once: a hash takes its time on purpose
    people: dict[Role | str, users.User] = {
        who: users.User(
            email=f"{who.replace(' ', '.')}@example.com",
            name=f"An {who}",
            role=Role.MANAGER if who == NARROW_MANAGER else who,
            password_hash=stored,
            download_limit=None,
            column_allowed=list(NARROW) if who in (Role.ANALYST, NARROW_MANAGER) else None,
        )
        for who in (*Role, NARROW_MANAGER)
    }
    with writing(OPERATOR) as transaction:
        transaction.add_all(people.values())
        transaction.flush()
        for user in people.values():
            transaction.refresh(user)
            transaction.expunge(user)
    return Site(url, contacts_data.fill(), people)


@pytest.fixture(scope="module")
def site(postgres: Server, migrated: str) -> Iterator[Site]:
    """Once for a module: its tests leave the contacts as they are."""
    kept.drop()
    name = f"site_{os.getpid()}_{time.monotonic_ns()}"
    with psycopg.connect(postgres.url("postgres", driver=""), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{migrated}" STRATEGY FILE_COPY')
        database.bind(postgres.url(name))
        yield _filled(postgres.url(name))
        database.engine().dispose()
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def themed() -> None:
    """The theme of the real server, which finds its settings beside the entry script; charts need its colours."""
    config._main_script_path = str(ROOT / "dashboard" / "app.py")
    config.get_config_options(force_reparse=True)


@pytest.fixture
def screen(site: Site, themed: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., AppTest]:
    """`screen(Role.ADMIN, at="contacts", country="Germany")`: the entry script as that person's browser runs it."""

    def run(who: Role | str | None, at: str = "contacts", **params: str | list[str]) -> AppTest:
        token = site.token(who) if who else None
        run.token = token  # type: ignore[attr-defined]  # for the test that ends the session
        # AppTest has no browser: st.context.cookies is empty there.
        monkeypatch.setattr(session, "cookie_token", lambda: token)
        test = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=60)
        test.context = {"locale": "en-GB", "timezone": "UTC"}
        test._page_hash = calc_hash(places.PLACES[at].path or "")  # its switch_page() knows pages that are files only
        for key, value in params.items():
            test.query_params[key] = value
        return test.run()

    return run


def click_in_table(test: AppTest, column: str, row: int, label: str = "", *, table: Any = None) -> AppTest:
    """A click on the button that stands there, in the first table or this one, on the screen as `test` shows it."""
    states = test._tree.get_widget_states()
    button = (table or test.dataframe[0]).proto.button_click_widgets[column]
    states.widgets.add(id=button).string_trigger_value.data = json.dumps({"row": row, "label": label})
    return test._run(states)


@contextmanager
def served(url: str | None, folder: Path, **environment: str) -> Iterator[str]:
    """The web's address while it runs, started from a folder that is not the project's."""
    port = free_port()
    environment = {"APPOINTMENT360_HOME": str(folder), **environment}  # not the developer's own
    with (folder / "web.log").open("wb") as log:
        command, environment = [*server_command(), "--port", str(port)], server_environment(url, **environment)
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
        try:
            address = f"http://localhost:{port}"
            _wait_for(address, process, folder / "web.log")
            yield address
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def server_command() -> list[str]:
    return [sys.executable, "-m", "dashboard.process", "--timeout-graceful-shutdown", "1"]


def server_environment(url: str | None, **more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key not in ("DATABASE_URL", "PREFECT_API_URL")}
    return {**kept, "PYTHONPATH": str(ROOT), **({"DATABASE_URL": url} if url else {}), **more}


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{address}/healthz").status_code == 200:
                return
        except httpx.TransportError:
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
    raise AssertionError(log.read_text())


@pytest.fixture(scope="module")
def web(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(site.url, tmp_path_factory.mktemp("elsewhere")) as address:
        yield address
