"""The database's door for an event loop: what most requests of programs ask, with no thread in between.

To wake a thread and wait for it costs a request more than such a question takes the server.
"""

import logging
import time
from asyncio import AbstractEventLoop, get_running_loop
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection, Error
from psycopg.errors import QueryCanceled
from psycopg.rows import RowFactory, namedtuple_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from models.bounded_connection import noticing
from models.database import Database, libpq_url
from models.errors import TooSlow
from models.tallies import TALLY

MOST = 10  # connections of one process
MOST_LONG = 8  # of them for what may take its time: who asks is known also where all others wait for the database
LONGEST_WAIT = 0.5  # seconds for one of them; whoever got none then asks in a thread

NAME = "appointment360 loop"  # of its connections, as the server lists them

log = logging.getLogger(__name__)
_Pool = AsyncConnectionPool[AsyncConnection[Any]]


class _Door:
    """The connections, of the loop that opened them; `busy` is how many are asked what may take its time."""

    def __init__(self, pool: _Pool, loop: AbstractEventLoop) -> None:
        self.pool, self.loop, self.busy = pool, loop, 0


_doors: list[_Door] = []  # one, while a server runs


@asynccontextmanager
async def opened() -> AsyncIterator[None]:
    """For as long as the block runs, requests to this process's loop are answered without a thread."""
    assert Database.url is not None
    url = libpq_url(Database.url)
    settings = {"autocommit": True, "application_name": NAME, **noticing(url)}
    pool: _Pool = AsyncConnectionPool(
        url, kwargs=settings, configure=_set_patience,
        min_size=1, max_size=MOST, timeout=LONGEST_WAIT, open=False,
    )  # fmt: skip
    await pool.open()  # it connects meanwhile: also a web whose database is away starts
    door = _Door(pool, get_running_loop())
    _doors.append(door)
    try:
        yield
    finally:
        _doors.remove(door)
        await pool.close()


async def _set_patience(connection: AsyncConnection[Any]) -> None:
    """By a statement: as an option of the connection it would take the place of those in the database's address."""
    if Database.patience is not None:
        await connection.execute(f"SET statement_timeout = '{Database.patience}s'".encode())


async def asked(
    statement: str, given: Mapping[str, Any], rows: RowFactory[Any] = namedtuple_row, *, is_long: bool = False
) -> list[Any] | None:
    """The rows of one statement, which is `compiled` and reads only; `is_long`: it may take its time. None where it
    cannot be answered here at this moment: whoever asks does so in a thread, and learns there what the matter is.

    Raises TooSlow where the process is bound with a patience that ends.
    """
    door = _doors[-1] if _doors else None
    if door is None or door.loop is not get_running_loop() or (is_long and door.busy >= MOST_LONG):
        return None
    door.busy += is_long
    try:
        async with door.pool.connection() as connection:
            cursor = connection.cursor(row_factory=rows)
            began = time.perf_counter()
            await cursor.execute(statement, given)
            if (tally := TALLY.get()) is not None:
                tally.add(statement, time.perf_counter() - began, cursor.rowcount)
            return await cursor.fetchall()
    except QueryCanceled as error:
        if Database.patience is None:
            return None
        raise TooSlow(seconds=Database.patience) from error
    except (Error, PoolTimeout) as error:
        log.info("asking in a thread: %s", error)
        return None
    finally:
        door.busy -= is_long
