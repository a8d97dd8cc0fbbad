"""Prefect on this machine: its database beside ours, its address, its sign-in, and the environment that joins them."""

from __future__ import annotations

import os
import secrets
import sys
from contextlib import suppress
from pathlib import Path

from deploy import running
from deploy.local import Connection
from models.errors import Unavailable

DATABASE = "prefect"
EXTENSIONS = ("pg_trgm",)  # Prefect's own migrations need it
HOST = "127.0.0.1"
PORT = 4200
USER = "appointment360"
# What an address says to libpq, for asyncpg, by which Prefect reaches its database: by the same words, by another one,
# or by libpq's variables. It refuses all others, such as how long it may take to connect.
SAME = ("host", "port", "user", "password", "passfile", "target_session_attrs", "krbsrvname")
VARIABLES = {"sslrootcert": "PGSSLROOTCERT", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY", "sslcrl": "PGSSLCRL"}
LOGGING = Path(__file__).parents[1] / "pipelines" / "prefect_logging.yml"
SCREENS = "/prefect"  # where the web passes them on


def environment(connection: Connection, port: int) -> dict[str, str]:
    """What the server, the runner and whoever starts flows must know, where `up` runs them. It holds secrets."""
    sign_in = auth_file(connection.home).read_text()
    return {
        **of_the_server(connection, sign_in),
        **of_clients(connection.home),
        "PREFECT_API_URL": f"http://{HOST}:{port}/api",
        "PREFECT_UI_API_URL": f"http://{HOST}:{port}/api",
        "PREFECT_API_AUTH_STRING": sign_in,
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
    }


def of_the_server(connection: Connection, sign_in: str) -> dict[str, str]:
    """What the server alone must know; without a sign-in everybody may ask it."""
    return {
        "PREFECT_UI_SERVE_BASE": SCREENS,
        "PREFECT_UI_STATIC_DIRECTORY": str(_screens_folder(connection.home)),
        **({"PREFECT_SERVER_API_AUTH_STRING": sign_in} if sign_in else {}),
        "PREFECT_API_DATABASE_CONNECTION_URL": _database_url(connection),
        **_own_authority(connection),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_LOGGING_SETTINGS_PATH": str(LOGGING),
    }


def of_clients(home: Path) -> dict[str, str]:
    """What whoever loads Prefect must know, but for the server's address."""
    return {
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_CLI_PROMPT": "false",
        "PREFECT_LOGGING_SETTINGS_PATH": str(LOGGING),
        "DO_NOT_TRACK": "1",
    }


def _screens_folder(home: Path) -> Path:
    """Where Prefect writes its screens, which know their path: else it would be within the program, which may be read
    only, or belong to several homes."""
    folder = home / "prefect" / "screens"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def foreign_to_it(name: str) -> bool:
    """Whether an environment variable is the person's own Prefect setting, a profile or a cloud address."""
    return name.startswith("PREFECT_")


def command(port: int, *, host: str = HOST) -> list[str]:
    return [sys.executable, "-m", "deploy.prefect_process", "--host", host, "--port", str(port)]


def auth_file(home: Path) -> Path:
    """The file with USER:PASSWORD for Prefect's API and screens, made on first use, readable by its owner only."""
    path = home / "prefect-auth"
    if not path.exists():
        fresh = path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{USER}:{secrets.token_urlsafe(24)}")
        fresh.replace(path)
    return path


def find(home: Path) -> bool:
    """Let this process know where the Prefect of the home's `up` answers, unless it was told; whether one is known."""
    if os.environ.get("PREFECT_API_URL"):
        return True
    recorded, facts = running.read(running.record_file(home))
    alive = any(one.name == running.SUPERVISOR and running.is_alive(one) for one in recorded)
    if not alive or running.PREFECT not in facts:
        return False
    os.environ["PREFECT_API_URL"] = f"{facts[running.PREFECT]}/api"
    os.environ["PREFECT_API_AUTH_STRING"] = auth_file(home).read_text()
    return True


def ensure_database(connection: Connection) -> None:
    """Create Prefect's database on the server of ours. Raises Unavailable."""
    if connection.server is not None:
        connection.server.ensure_database(DATABASE, EXTENSIONS)
        return
    import psycopg

    from models.database import libpq_url

    try:
        with psycopg.connect(libpq_url(connection.url), autocommit=True) as ours:
            if ours.execute("select from pg_database where datname = %s", [DATABASE]).fetchone() is None:
                with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):  # by another one, now
                    ours.execute(f"create database {DATABASE}")
        with psycopg.connect(libpq_url(connection.url), dbname=DATABASE, autocommit=True) as its:
            for extension in EXTENSIONS:
                with suppress(psycopg.errors.UniqueViolation):  # another one makes it in this moment
                    its.execute(f"create extension if not exists {extension}".encode())
    except psycopg.Error as error:
        raise Unavailable(
            f"Prefect needs a database “{DATABASE}” on the server of DATABASE_URL, and it could not be prepared: "
            f"{str(error).strip()} Let the server's administrator create it, with the extension pg_trgm."
        ) from error


def _database_url(connection: Connection) -> str:
    from sqlalchemy import make_url

    if connection.server is not None:
        return connection.server.url(DATABASE, driver="asyncpg")
    url = make_url(connection.url).set(drivername="postgresql+asyncpg", database=DATABASE)
    query = {name: value for name, value in url.query.items() if name in SAME}
    if mode := url.query.get("sslmode"):
        query["ssl"] = mode
    return url.set(query=query).render_as_string(hide_password=False)


def _own_authority(connection: Connection) -> dict[str, str]:
    """The files of certificates that the address of a foreign server names."""
    from sqlalchemy import make_url

    query = {} if connection.server is not None else make_url(connection.url).query
    return {variable: str(query[name]) for name, variable in VARIABLES.items() if name in query}
