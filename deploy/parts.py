"""The parts of the house, each in the foreground of a process of its own: for systemd and containers, where `up`, which
keeps all of them on one machine, is not wanted. They find each other by settings, and what they log goes to where they
were started."""

from __future__ import annotations

import logging
import os
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from deploy import local, ports, prefect_server
from deploy.supervisor import PROJECT, Part, Supervisor
from models import kernel_locks
from models.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from models.settings import Settings

log = logging.getLogger(__name__)

LOOK_EVERY = 0.2  # seconds
# Seconds that the web keeps an idle connection open: longer than clients and proxies reuse one (5 s, 60 s). Where both
# give up at the same moment, a request meets a connection that is being closed.
KEEP_ALIVE = 75
POOL = "appointment360"
# Used by `migrate`, and no business of those that go on running.
FIRST_PASSWORD = ("APPOINTMENT360_ADMIN_PASSWORD", "APPOINTMENT360_ADMIN_PASSWORD_FILE")
BESIDE_DRAINING = 15.0  # seconds that a worker may take to end, beside what it waits for its runs


@dataclass(frozen=True)
class Migrated:
    """The schema that is there now, and the first administrator where one was made."""

    schema: str
    administrator: str | None


def migrate() -> Migrated:
    """Bring our schema, and the database of Prefect, to what this program needs; make the first administrator where
    there is nobody and a password is set. Two at once wait for each other. Raises AppError."""
    from models import database, migrations, users

    settings = _settings(without=("prefect_auth", "prefect_url", "secret_key"))
    url = _database_url()
    with local.connected():
        prefect_server.ensure_database(_foreign(url))
        password, made = settings.admin_password, None
        if password is not None:
            made = users.first_administrator(email=settings.admin_email, password=password.get_secret_value())
        return Migrated(migrations.stored(database.engine()), made[0].email if made else None)


def web_command(host: str, port: int, *, proxies: str, grace: int) -> list[str]:
    """The program that serves one instance. `proxies` are the addresses whose word is taken for the address that a
    request comes from, with commas between, and none where it is empty: limits count by it."""
    command = [sys.executable, "-m", "dashboard.process", "--host", host, "--port", str(port)]
    command += ["--timeout-keep-alive", str(KEEP_ALIVE)]
    command += ["--forwarded-allow-ips", proxies] if proxies else ["--no-proxy-headers"]
    return [*command, "--timeout-graceful-shutdown", str(grace)]


def believed_proxies() -> str:
    """Whose word is taken for the address that a request comes from: of those that a setting names, or uvicorn's own;
    else of a proxy on this machine, where people reach the web at an address of its own."""
    from models.settings import settings

    named = settings().trusted_proxies or os.environ.get("FORWARDED_ALLOW_IPS")
    return named or (ports.HOST if settings().public_url else "")


def web(host: str, port: int) -> NoReturn:
    """One instance, in place of this process. Raises AppError."""
    settings = _settings()
    url = _database_url()
    _prepared_home()
    command = web_command(host, port, proxies=believed_proxies(), grace=settings.web_grace_seconds)
    _become(command, {"DATABASE_URL": url, "APPOINTMENT360_PORT": str(port)} | _prefect())


def prefect(host: str, port: int) -> NoReturn:
    """Prefect's server, in place of this process. Raises AppError."""
    _settings(without=("prefect_url", "secret_key"))
    if host != ports.HOST and not _prefect_sign_in():
        raise Unavailable(
            f"Prefect would take anybody's word at {host}: set APPOINTMENT360_PREFECT_AUTH to USER:PASSWORD, here and "
            "for all who ask it, or let it listen on 127.0.0.1."
        )
    connection = _foreign(_database_url())
    _prepared_home()
    prefect_server.ensure_database(connection)
    environment = prefect_server.of_the_server(connection, _prefect_sign_in()) | _prefect()
    _become(prefect_server.command(port, host=host), environment)


def worker(limit: int) -> None:
    """Takes flows from the pool until SIGTERM, with a checker beside it. Raises AppError."""
    from models import logs, service_manager

    settings = _settings(without=("secret_key",))
    if not settings.prefect_url:
        raise Unavailable(
            "A worker needs Prefect's server: set APPOINTMENT360_PREFECT_URL to its address, such as "
            "http://127.0.0.1:4200."
        )
    environment = _environment({"DATABASE_URL": _database_url()} | _prefect())
    home = _prepared_home()
    number, lock = _place(home)
    name = f"{os.uname().nodename}-{number}"
    command = [sys.executable, "-m", "pipelines.pool_worker", POOL, "--name", name, "--limit", str(limit)]
    parts = [
        Part("worker", command, environment),
        Part("checker", [sys.executable, "-m", "data_checks.gate"], environment),
    ]
    record = home / f"worker-{number}.json"
    logs.begin("supervisor")
    patience = settings.drain_seconds + BESIDE_DRAINING
    try:
        with Supervisor(record=record, logs=None, say=log.warning, hold=[lock], patience=patience) as supervisor:
            for part in parts if number == 1 else parts[:1]:  # a home has one checker, which all may ask
                supervisor.start(part)
            log.info("Worker %s takes runs from %s", name, settings.prefect_url)
            while not supervisor.stopping:
                supervisor.look()
                time.sleep(LOOK_EVERY)
            service_manager.stopping(timedelta(seconds=patience))
    finally:
        os.close(lock)


def _settings(*, without: Collection[str] = ()) -> Settings:
    """What a part starts with, and `without` which secrets, since it has no use for them. Raises InvalidInput where
    production does not start with it."""
    from models import production
    from models.settings import settings

    production.require(settings(), without=without)
    return settings()


def _place(home: Path) -> tuple[int, int]:
    """The first free number among the workers of this home, and the lock that keeps it."""
    number = 1
    while (lock := kernel_locks.taken_if_free(home / f"worker-{number}.lock")) is None:
        number += 1
    return number, lock


def _prepared_home() -> Path:
    """The home, which nobody else reads; no database lies in it."""
    home = local.home()
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(
            f"The home directory {home} cannot be made: {error.strerror}. Choose another one with --home or "
            "APPOINTMENT360_HOME."
        ) from error
    return home


def _database_url() -> str:
    if url := local.database_url():
        return url
    raise Unavailable(
        "DATABASE_URL is not set: parts that run by themselves need a server that all of them reach. On one machine "
        "`appointment360 up` brings its own."
    )


def _foreign(url: str) -> local.Connection:
    return local.Connection(url, local.home(), None)


def _prefect_sign_in() -> str:
    from models.settings import settings

    secret = settings().prefect_auth
    return secret.get_secret_value() if secret else ""


def _prefect() -> dict[str, str]:
    """How Prefect's own library finds the server; nothing where there is none to find."""
    from models.settings import settings

    if not settings().prefect_url:
        return {}
    told = {"PREFECT_API_URL": f"{settings().prefect_url.rstrip('/')}/api", "DO_NOT_TRACK": "1"}
    sign_in = _prefect_sign_in()
    return told | ({"PREFECT_API_AUTH_STRING": sign_in} if sign_in else {}) | prefect_server.of_clients(local.home())


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    from models import settings

    told = settings.environment(APPOINTMENT360_HOME=str(local.home()), PYTHONUNBUFFERED="1", **more)
    return {name: value for name, value in told.items() if name not in FIRST_PASSWORD}


def _become(command: list[str], more: Mapping[str, str]) -> NoReturn:
    """This process goes on as that program, so that signals, its number and its end are its own."""
    os.chdir(PROJECT)  # `python -m` finds our modules there, and Streamlit its configuration
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(command[0], command, _environment(more))  # noqa: S606  a shell would take the signals
