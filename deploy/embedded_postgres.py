"""One embedded PostgreSQL server per home directory: the first process starts it, others join, the last one stops it.

Below `home`/postgres lie the cluster (pgdata), its password, its settings and its logs, and three lock files. The
kernel releases each lock when its holder dies, kill -9 included, so none of them can be left behind:

- start.lock: held exclusively while somebody starts, stops or prepares the server;
- users.lock: shared by every process that uses the server; who can have it alone is the last one, and stops it;
- server.lock: inherited by the server's own processes. While it is held one of them lives, whatever postmaster.pid
  says: that file outlives a killed server, and its number may belong to another process, or to another container.

A process that ends normally, or by an exception, releases its server by itself. SIGTERM skips that (Python runs no
atexit functions): whoever runs for long turns SIGTERM into an exception or calls `Server.release()` in its handler.
After kill -9 the server stays until the next process joins and releases it. What a fork of the process inherits is
not a use of its own: the server may stop while the child still runs.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from deploy import postgres_programs
from deploy.postgres_cluster import HOST, SUPERUSER, Cluster
from deploy.postgres_programs import EmbeddedPostgresError
from models import kernel_locks

__all__ = ["EmbeddedPostgresError", "Server", "start_or_join"]


@dataclass
class Server:
    """A use of the embedded server at `home`; `joined` when it was already running."""

    home: Path
    port: int
    joined: bool
    _password: str = field(repr=False)
    _users_lock: int | None = field(repr=False)
    _process: int = field(default_factory=os.getpid, repr=False)

    def url(self, database: str = "appointment360", driver: str = "psycopg") -> str:
        """A SQLAlchemy address, or with driver "" the one that libpq and its tools take. It holds the password."""
        scheme = f"postgresql+{driver}" if driver else "postgresql"
        return f"{scheme}://{SUPERUSER}:{quote(self._password, safe='')}@{HOST}:{self.port}/{quote(database, safe='')}"

    def tool(self, name: str) -> Path:
        """A client program of the server's own version, such as pg_dump or psql."""
        return postgres_programs.installed() / "bin" / name

    def ensure_database(self, name: str, extensions: Sequence[str] = ()) -> None:
        """Create the database and its extensions where they are missing. Raises EmbeddedPostgresError."""
        import psycopg  # a quarter of a second, which a process that only joins need not pay

        # CREATE DATABASE and CREATE EXTENSION IF NOT EXISTS both fail when two processes run them at once.
        with kernel_locks.held(Cluster(self.home).start_lock):
            try:
                self._create_missing(name, extensions)
            except psycopg.Error as error:
                raise EmbeddedPostgresError(
                    f"The database {name} could not be prepared on the embedded PostgreSQL at {self.home}: {error}"
                ) from error

    def _create_missing(self, name: str, extensions: Sequence[str]) -> None:
        import psycopg
        from psycopg import sql

        # An own server has no TLS, whatever PGSSLMODE says for other servers.
        with psycopg.connect(self.url("postgres", ""), autocommit=True, sslmode="disable") as connection:
            if connection.execute("select from pg_database where datname = %s", [name]).fetchone() is None:
                # template1 cannot be copied while somebody is connected to it; nobody can connect to template0.
                connection.execute(sql.SQL("create database {} template template0").format(sql.Identifier(name)))
        with psycopg.connect(self.url(name, ""), autocommit=True, sslmode="disable") as connection:
            for extension in extensions:
                connection.execute(sql.SQL("create extension if not exists {}").format(sql.Identifier(extension)))

    def alive(self) -> bool:
        """Whether the server still accepts connections, on this port; about 10 ms."""
        return Cluster(self.home).ready_port() == self.port

    def release(self) -> None:
        """End this use of the server; the last user stops it. May be called again."""
        descriptor, self._users_lock = self._users_lock, None
        if descriptor is None or os.getpid() != self._process:
            return
        atexit.unregister(self.release)
        cluster = Cluster(self.home)
        try:
            if cluster.directory.is_dir():
                with kernel_locks.held(cluster.start_lock):
                    if kernel_locks.turned_exclusive(descriptor):
                        cluster.stop()
        finally:
            os.close(descriptor)


def start_or_join(
    home: Path, *, tuning: Mapping[str, str] | None = None, preferred_port: int = 54329, keep: bool = False
) -> Server:
    """Start the server of `home`, creating it on first use, or join it when it runs.

    `tuning` overrides server settings, and applies only when this call starts the server. Another free port is taken
    when `preferred_port` is not free. With `keep` the end of this process does not stop the server; release() still
    may. Raises EmbeddedPostgresError.
    """
    if sys.platform == "win32":
        raise EmbeddedPostgresError(
            "The embedded PostgreSQL runs on Linux and macOS. On Windows set DATABASE_URL to a PostgreSQL server."
        )
    home = Path(home).expanduser().resolve()
    try:
        server = _joined_or_started(Cluster(home), tuning or {}, preferred_port)
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        raise EmbeddedPostgresError(
            f"The embedded PostgreSQL at {home} could not be started: {error.strerror}{place}."
        ) from error
    if not keep:
        atexit.register(server.release)
    return server


def _joined_or_started(cluster: Cluster, tuning: Mapping[str, str], preferred_port: int) -> Server:
    cluster.create_directory()
    server = Server(cluster.home, preferred_port, joined=False, _password="", _users_lock=None)
    try:
        with kernel_locks.held(cluster.start_lock):
            server._users_lock = kernel_locks.shared(cluster.users_lock)
            server._password = cluster.password()
            server.port, server.joined = cluster.bring_up(tuning, preferred_port)
    except BaseException:
        # Ctrl-C while the server starts must not leave it behind.
        server.release()
        raise
    return server
