"""COPY's output from two connections at once, in order.

Postgres gives one processor to one COPY, which is what an export waits for. So rows are asked for in pieces, and two
connections that see one snapshot make them in turns: while the file takes one piece, the next is already on its way.
One thread looks at both sockets, and asks libpq itself: psycopg's `Copy` waits for one connection only, and costs twice
as much for each row.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from selectors import EVENT_READ, DefaultSelector
from typing import Any

import psycopg
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

from models.database import engine, libpq_url

CONNECTIONS = 2
AHEAD = 32 * 1024 * 1024  # bytes that a connection may bring before their turn; then it waits, and its server with it


@dataclass(frozen=True)
class Lines:
    """Whole lines of COPY's output."""

    data: bytes
    number: int


def copied(commands: Sequence[str], connection: psycopg.Connection[Any]) -> Iterator[Lines]:
    """The output of each COPY command, one after the other, as the open transaction of `connection` sees the database.

    Raises psycopg.Error.
    """
    number = min(CONNECTIONS, len(commands))
    with ExitStack() as stack, DefaultSelector() as selector:
        connections = [connection]
        if number > 1:
            snapshot = snapshot_of(connection)
            connections += [stack.enter_context(closing(_seeing(snapshot))) for _ in range(number - 1)]
        readers = [_Reader(one, commands[at::number], selector) for at, one in enumerate(connections)]
        for turn in range(len(commands)):
            yield from readers[turn % number].piece()


def snapshot_of(connection: psycopg.Connection[Any]) -> str:
    """What another transaction sets as its own, to see what `connection` sees, as long as that one is open."""
    row = connection.execute("SELECT pg_export_snapshot()").fetchone()
    assert row is not None
    return str(row[0])


def _seeing(snapshot: str) -> psycopg.Connection[Any]:
    connection = psycopg.connect(libpq_url(engine().url.render_as_string(hide_password=False)))
    try:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        connection.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
    except BaseException:
        connection.close()
        raise
    return connection


class _Reader:
    """One connection with its share of the commands, and what it brought before their turn."""

    def __init__(self, connection: psycopg.Connection[Any], commands: Sequence[str], selector: DefaultSelector) -> None:
        self._ahead: deque[Lines | None] = deque()  # None ends a piece
        self._bytes_ahead = 0
        self._selector, self._listening = selector, False
        self._connection = connection.pgconn
        self._reading = self._read(commands)
        self.receive()

    def receive(self) -> None:
        """Take in what has arrived at the socket."""
        self._listen(next(self._reading, False) and self._bytes_ahead < AHEAD)

    def piece(self) -> Iterator[Lines]:
        """The next piece; while it is waited for, the other connections are read as well."""
        while True:
            while self._ahead:
                lines = self._ahead.popleft()
                if lines is None:
                    return
                self._bytes_ahead -= len(lines.data)
                yield lines
            self._listen(True)
            for key, _ in self._selector.select():
                key.data.receive()

    def _listen(self, wanted: bool) -> None:
        if wanted and not self._listening:
            self._selector.register(self._connection.socket, EVENT_READ, self)
        elif self._listening and not wanted:
            self._selector.unregister(self._connection.socket)
        self._listening = wanted

    def _read(self, commands: Sequence[str]) -> Iterator[bool]:
        """Run one command after the other; yields True each time when the socket must be waited for."""
        for command in commands:
            self._connection.send_query(command.encode())
            while self._connection.is_busy():
                yield True
                self._connection.consume_input()
            _checked(self._connection.get_result(), ExecStatus.COPY_OUT)
            while self._take_lines():
                yield True
                self._connection.consume_input()
            while result := self._connection.get_result():
                _checked(result, ExecStatus.COMMAND_OK)
            self._ahead.append(None)

    def _take_lines(self) -> bool:
        """Whether more are to come: libpq says 0 where the socket must be read first, and -1 at the end."""
        lines: list[memoryview] = []
        while (found := self._connection.get_copy_data(1))[0] > 0:
            lines.append(found[1])
        data = b"".join(lines)
        self._ahead.append(Lines(data, len(lines)))
        self._bytes_ahead += len(data)
        return found[0] == 0


def _checked(result: PGresult | None, status: ExecStatus) -> None:
    if result is None or result.status != status:
        raise psycopg.OperationalError("the server ended COPY") if result is None else error_from_result(result)
