"""The API as programs meet it: HTTP requests, with a token of a person, to a server in a thread of the tests, which has
the database that a test binds."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from dashboard.api import api, limits
from models import sign_ins, tokens
from models.accounts import DEFAULT_DOWNLOAD_LIMIT, User
from models.permissions import OPERATOR, Role
from models.settings import settings
from tests.data_checks.conftest import started_checker
from tests.people import person

Client = Callable[..., httpx.Client]
SignedIn = Callable[[User], httpx.Client]


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(api, port=0, lifespan="off", log_config=None))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    [listener] = server.servers[0].sockets
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def client(db: str, address: str) -> Iterator[Client]:
    """`client(Role.MANAGER)`: its requests bear a token of a new person with that role; `scopes` are the token's,
    `columns` those that the person may see. `client(None)` bears none."""
    limits.forget()
    opened: list[httpx.Client] = []

    def of(
        who: Role | None,
        *,
        scopes: list[str] | None = None,
        columns: list[str] | None = None,
        limit: int | None = DEFAULT_DOWNLOAD_LIMIT,
    ) -> httpx.Client:
        made = httpx.Client(base_url=address)
        if who is not None:
            email = f"{who}{len(opened)}@example.com"
            person(email=email, name=f"An {who}", role=who, column_allowed=columns, download_limit=limit)
            _, token = tokens.create_for(email, "a test", scopes=scopes, by=OPERATOR)
            made.headers["authorization"] = f"Bearer {token}"
        opened.append(made)
        return made

    yield of
    for one in opened:
        one.close()
    limits.forget()


@pytest.fixture
def signed_in(db: str, address: str) -> Iterator[SignedIn]:
    """`signed_in(ann)`: a client with the token of a new session of hers."""
    limits.forget()
    opened: list[httpx.Client] = []

    def of(user: User) -> httpx.Client:
        token = sign_ins.redeem_ticket(sign_ins.issue_ticket(user.actor()), address="10.0.0.1", device=None)
        opened.append(httpx.Client(base_url=address, headers={"authorization": f"Bearer {token}"}))
        return opened[-1]

    yield of
    for one in opened:
        one.close()
    limits.forget()


@pytest.fixture(scope="session")
def checked_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with a warm checker, for imports: each process that loads its library takes seconds to do so."""
    folder = tmp_path_factory.mktemp("home")
    process = started_checker(folder)
    yield folder
    process.terminate()
    assert process.wait(60) == 0


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """This process's home, and so the server's in its thread, without a file."""
    yield from _at(tmp_path / "home", monkeypatch)


@pytest.fixture
def warm_home(checked_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """`home`, where imports are checked, too."""
    yield from _at(checked_home, monkeypatch)
    for kept in ("imports", "exports"):
        shutil.rmtree(checked_home / kept, ignore_errors=True)


def _at(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("APPOINTMENT360_HOME", str(folder))
    settings.cache_clear()
    yield folder
    settings.cache_clear()
