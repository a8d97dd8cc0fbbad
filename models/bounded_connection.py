"""Connections that do not wait for a server for ever, as libpq does.

A machine that is gone says nothing: the kernel notices, where it is told to look. A server that is stopped, or whose
machine stands still, keeps its sockets open and takes what is sent to it, and the statement_timeout that it would watch
over stands still with it: that only who asks can notice.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from psycopg import Connection, OperationalError
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import ConnectionTimeout

R = TypeVar("R")
SOON = 2.0  # seconds, for what a server answers at once
INTERVAL = 0.1  # seconds between two looks whether Python wants something, psycopg's own

# Seconds to connect; after 40 s without a word a machine is gone.
NOTICED = {
    "connect_timeout": 10, "keepalives_idle": 20, "keepalives_interval": 5, "keepalives_count": 4,
    "tcp_user_timeout": 40_000,
}  # fmt: skip


def noticing(url: str) -> dict[str, int]:
    """What to connect with beside the address, so that a machine that is gone is noticed; where the address says such
    things itself, that holds."""
    given = conninfo_to_dict(url)
    return {name: value for name, value in NOTICED.items() if given.get(name) is None}


class BoundedConnection(Connection[Any]):
    """Closed where a statement has no answer after `longest` seconds; with None it waits."""

    longest: float | None = SOON

    @contextmanager
    def patient(self, seconds: float | None) -> Iterator[None]:
        """Wait so long for each answer, while the block runs."""
        self.longest = seconds
        try:
            yield
        finally:
            self.longest = SOON

    def wait(self, gen: PQGen[R], interval: float = INTERVAL, timeout: float | None = None) -> R:
        """Raises OperationalError, as does from then on whatever the connection is asked."""
        until = self.longest if timeout is None else timeout
        try:
            return super().wait(gen, interval, until)
        except OperationalError as error:
            if error.sqlstate is not None:  # the server said it
                raise
            lost = self.closed
            self.pgconn.finish()
            if lost:
                raise
        raise ConnectionTimeout(f"the server has not answered for {until} s")
