"""Lets go of kept answers as soon as another process changes contacts, wherever it runs: with LISTEN and NOTIFY.

Nothing depends on it but how long memory is taken for what nobody will be given again. kept.py asks the database before
it gives an answer: a notification may come late, or never where the connection was lost, and no number is stale. Not
every transaction notifies either: one in a second does, after which this looks twice.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

from models import kept
from models.bounded_connection import noticing
from models.contacts import own_mirror
from models.database import Database, libpq_url

CHANNEL = "contact_moves"
NAME = "appointment360 kept answers"  # of its connection, as the server lists it
TICK = 0.5  # seconds after which it looks whether it is to stop
SILENT = 1.5  # seconds in which others may move without a word, after one that notified
EVERY = 60.0  # seconds after which it looks though it heard nothing
AGAIN = 2.0  # seconds after which it connects anew

log = logging.getLogger(__name__)


@contextmanager
def listening() -> Iterator[None]:
    """While this lasts, a thread listens."""
    assert Database.url is not None
    stopped = threading.Event()
    given = (stopped, libpq_url(Database.url))
    thread = threading.Thread(target=_listen_until, args=given, name="kept answers", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join(2 * TICK)


def _listen_until(stopped: threading.Event, url: str) -> None:
    how: dict[str, Any] = {"autocommit": True, "application_name": NAME, "row_factory": namedtuple_row, **noticing(url)}
    while not stopped.is_set():
        try:
            with psycopg.connect(url, **how) as heard:
                heard.execute(f"LISTEN {CHANNEL}".encode())
                _hear(heard, stopped)
        except psycopg.Error as error:
            log.info("kept answers are let go of later: %s", error)
            stopped.wait(AGAIN)
        except Exception:  # the thread must outlive whatever one round meets
            log.exception("kept answers are let go of later")
            stopped.wait(AGAIN)


def _hear(connection: psycopg.Connection[Any], stopped: threading.Event) -> None:
    """At first, too: what was said before is not told again."""
    due = time.monotonic()
    while not stopped.is_set():
        told = any(True for _ in connection.notifies(timeout=TICK, stop_after=1))
        if told or time.monotonic() >= due:
            [row] = connection.execute(kept.MOMENT).fetchall()
            kept.drop(kept.moment_told(row))
            own_mirror.tell()
            if row.rows > kept.MOST_ROWS:  # where many write and nobody asks
                with connection.transaction():
                    kept.add_up(connection)
            due = time.monotonic() + (SILENT if told else EVERY)
