"""Whether requests can be served: the database answers, this code can run on its schema, and this instance is not about
to end.

Prefect is no part of that: without it people browse and import as ever, and what they start begins later. Neither is a
full disk: what needs room is refused with its reason, and nobody can browse where every instance is taken away for it.
"""

import asyncio
import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType
from typing import Any, Literal

from sqlalchemy.exc import TimeoutError as NoConnectionFree
from starlette.concurrency import run_in_threadpool

from models import database, disks, migrations, service_manager
from models.errors import Unavailable
from models.settings import settings

log = logging.getLogger(__name__)

WITHIN = 3  # seconds
OTHER_SCHEMA = (
    "The database's schema is not the one this program needs: run `appointment360 migrate`, or `up` on one machine."
)


class _Instance:
    """This process."""

    draining = False
    look: "asyncio.Task[str | None] | None" = None  # whether the database can be used


def draining() -> bool:
    return _Instance.draining


async def fault() -> str | None:
    """Why this instance is not ready, in a sentence for anybody."""
    return "This instance is about to end." if _Instance.draining else await database_fault()


async def database_fault() -> str | None:
    """Why the database cannot be used, in a sentence for anybody: where it is, and what it says, is in the log.

    One that stands still never answers. So all who ask meanwhile wait for one look, which holds one thread."""
    look = _Instance.look
    if look is None or look.done() or look.get_loop() is not asyncio.get_running_loop():
        look = _Instance.look = asyncio.create_task(run_in_threadpool(_database_fault))
    done, _ = await asyncio.wait([look], timeout=WITHIN)
    return await look if done else f"The database did not answer within {WITHIN} s."


def _database_fault() -> str | None:
    try:
        database.ping()
        fits = migrations.fits(database.engine())
    except (Unavailable, NoConnectionFree) as error:
        log.warning("not ready: %s", error)
        return "The database does not answer."
    return None if fits else OTHER_SCHEMA


def disk() -> Literal["ok", "low", "unknown"]:
    """How that of the stored files is; no database is asked."""
    try:
        return "low" if disks.of_the_home().is_low else "ok"
    except OSError:
        return "unknown"


def is_full() -> bool:
    """Whether that of the stored files has less than the reserve left, which nobody may write to."""
    try:
        return disks.of_the_home().free < settings().disk_reserve
    except OSError:
        return False


@contextmanager
def drained_before_its_end() -> Iterator[None]:
    """While this lasts a first SIGTERM only makes the instance unready; web_drain_seconds later, or with a second one,
    the server is told. So a balancer that looks in between sends nobody here when connections are refused."""
    seconds, before = settings().web_drain_seconds, signal.getsignal(signal.SIGTERM)
    if not seconds or not callable(before) or threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()

    def end(number: int, frame: FrameType | None) -> None:
        if _Instance.draining:
            before(number, frame)
            return
        _Instance.draining = True
        service_manager.stopping(timedelta(seconds=seconds + settings().web_grace_seconds))
        loop.call_soon_threadsafe(_end_later, loop, seconds, before)

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is end:
            signal.signal(signal.SIGTERM, before)


def _end_later(loop: asyncio.AbstractEventLoop, seconds: float, before: Any) -> None:
    log.info("draining: no longer ready, ending in %s s", seconds)
    loop.call_later(seconds, before, signal.SIGTERM, None)
