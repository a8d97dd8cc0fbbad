"""This machine's Appointment360: its home directory, and a connection to its database for as long as a command runs."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from deploy import embedded_postgres, output, postgres_programs, timed_commands
from deploy.embedded_postgres import Server
from models.errors import Unavailable

if TYPE_CHECKING:
    from sqlalchemy import Engine

DATABASE = "appointment360"
PASSWORDS = ("PGPASSWORD", "PGPASSFILE")
TERMINATED = 128 + signal.SIGTERM


@dataclass
class Connection:
    """The bound database; `server` is None where DATABASE_URL names a server that is not ours."""

    url: str = field(repr=False)  # it holds the password
    home: Path
    server: Server | None


def forget_other_servers() -> None:
    """Take libpq's variables from this process and those it starts: they mean the person's own server, and would lead
    whoever speaks to ours elsewhere. Passwords stay, which a database to restore into may need."""
    for name in [one for one in os.environ if one.startswith("PG") and one not in PASSWORDS]:
        del os.environ[name]


def use_home(directory: Path) -> None:
    """Make `directory` the home of this process and of those it starts."""
    from models.settings import settings

    os.environ["APPOINTMENT360_HOME"] = str(directory.expanduser().resolve())
    settings.cache_clear()


def home() -> Path:
    """The directory of all data on this machine, absolute; it need not exist yet."""
    from models import settings

    return settings.home().resolve()


def prepared_home() -> Path:
    """The home, created so that the database's system user can reach its part. Raises AppError."""
    directory = home()
    try:
        postgres_programs.make_directory(directory, postgres_programs.server_user(directory / "postgres" / "pgdata"))
        (directory / "logs").mkdir(exist_ok=True)
    except OSError as error:
        raise Unavailable(
            f"The home directory {directory} cannot be used: {error.strerror}. "
            f"Choose another one with --home or APPOINTMENT360_HOME."
        ) from error
    return directory


@contextmanager
def connected(*, makes: bool = False) -> Iterator[Connection]:
    """Start or join the embedded Postgres, or use DATABASE_URL; migrate; bind `models.database`.

    Production has a database already, but for who `makes` one: an empty one would be taken for the site's. At the end,
    SIGTERM included, the server is released, and stopped by its last user. Raises AppError.
    """
    with _sigterm_as_exit():
        url = database_url()
        if not url:
            forget_other_servers()
            if not (
                home() / "postgres" / "pgdata" / "PG_VERSION"
            ).exists():  # a mistyped home would look like an empty one
                _require_made_elsewhere(makes)
                output.note(f"There was no database in {home()}: a new one is made.")
        server = None if url else embedded_postgres.start_or_join(home())
        connection = Connection(server.url(DATABASE) if server else url, home(), server)
        try:
            if server:
                _prepare_own(server)
            else:
                _prepare_foreign(url)
            with timed_commands.timed():
                yield connection
        finally:
            _release(connection)


def _require_made_elsewhere(makes: bool) -> None:
    from models.production import PRODUCTION
    from models.settings import settings

    if settings().environment == PRODUCTION and not makes:
        raise Unavailable(
            f"There is no database in {home()}, and in production `appointment360 up` alone makes one: set "
            "DATABASE_URL, or name the home of `up` with --home or APPOINTMENT360_HOME."
        )


def revive(connection: Connection) -> None:
    """Start the embedded Postgres again after it died, on its old port where that is free. Raises AppError."""
    died = connection.server
    assert died is not None
    connection.server = embedded_postgres.start_or_join(connection.home, preferred_port=died.port)
    died.release()  # only after the new use began: the last user would stop the server
    if connection.server.port != died.port:
        from models import database

        connection.url = connection.server.url(DATABASE)
        database.bind(connection.url)


def database_url() -> str:
    """DATABASE_URL, or "" where the embedded Postgres is to be used."""
    from models.settings import settings

    secret = settings().database_url
    return secret.get_secret_value() if secret else ""


def _prepare_own(server: Server) -> None:
    from models import database, migrations

    url = server.url(DATABASE)
    if _fits(database.bind(url)):
        return
    server.ensure_database(DATABASE)
    migrations.upgrade(url)
    database.bind(url)


def _prepare_foreign(url: str) -> None:
    from sqlalchemy.exc import DBAPIError

    from models import database, migrations

    try:
        if not _fits(database.bind(url)):
            migrations.upgrade(url)
    except DBAPIError as error:
        raise Unavailable(f"The database of DATABASE_URL cannot be used: {str(error.orig).strip()}") from error


def _fits(engine: Engine) -> bool:
    from models import migrations

    return migrations.fits(engine)


def _release(connection: Connection) -> None:
    from models.database import Database

    if Database.engine is not None:
        Database.engine.dispose()
    if connection.server is not None:
        with _undisturbed():
            connection.server.release()


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()  # only there may signal handlers be set


@contextmanager
def _sigterm_as_exit() -> Iterator[None]:
    """SIGTERM would end Python without any `finally`, and leave the server running."""
    if not _in_main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _exit)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _exit(number: int, frame: FrameType | None) -> None:
    raise SystemExit(TERMINATED)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A second Ctrl-C while the server stops would leave it half stopped."""
    numbers = (signal.SIGINT, signal.SIGTERM) if _in_main_thread() else ()
    before = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
