"""Past one machine: `python -m pipelines.pool_worker POOL` is one worker of the pool: it makes the pool and its
deployments where they are missing, takes runs from it, each as a process of its own, and sweeps beside them.

Reads PREFECT_API_URL, and DATABASE_URL for what rests. SIGTERM drains it: it takes nothing new, waits for what runs, at
most so long as the setting drain_seconds says, and ends what is left, which another worker takes up where it stopped.
A second SIGTERM ends it at once. A second worker beside it shares the work.
"""

import argparse
import asyncio
import logging
import os
import signal
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from models import logs, service_manager
from models.errors import AppError
from models.settings import settings

if TYPE_CHECKING:
    from prefect.workers.process import ProcessWorker

LOOKS_EVERY = 0.2  # seconds
QUERY_SECONDS = "1"  # between two questions whether there is work

log = logging.getLogger(__name__)


def work(pool: str, *, name: str | None, limit: int) -> None:
    """Until SIGTERM. Raises Unavailable where Prefect does not come, or there is no database."""
    from pipelines.own_database import bind_database

    bind_database()
    os.environ.setdefault("PREFECT_WORKER_QUERY_SECONDS", QUERY_SECONDS)
    from pipelines import deploy_to_pool, sweep  # Prefect, which reads its environment when it is loaded

    deploy_to_pool.deploy(pool)
    from prefect.utilities.services import critical_service_loop
    from prefect.workers import base
    from prefect.workers.process import ProcessWorker

    vars(base)["critical_service_loop"] = partial(critical_service_loop, printer=_failing)  # else it prints tracebacks
    sweep.keep_sweeping()
    sweep.drain(asyncio.run(_run(ProcessWorker(work_pool_name=pool, name=name, limit=limit))))


async def _run(worker: "ProcessWorker") -> float:
    """Until it was drained; the seconds that are left for what else is under way."""
    left: float = settings().drain_seconds
    signals: asyncio.Queue[None] = asyncio.Queue()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, signals.put_nowait, None)
    working = asyncio.create_task(worker.start(printer=_started))
    told = asyncio.create_task(signals.get())
    await asyncio.wait([working, told], return_when=asyncio.FIRST_COMPLETED)
    if not working.done():
        left = await _drained(worker, signals)
        working.cancel()
    told.cancel()
    with suppress(asyncio.CancelledError):
        await working
    return left


def _started(said: str) -> None:
    """Called by Prefect's worker when it takes runs."""
    log.info("%s", said)
    service_manager.ready()
    os.environ.pop(service_manager.SOCKET, None)  # its runs are none of systemd's services


def _failing(said: str = "") -> None:
    """Called by Prefect's worker while the server does not answer it: of tracebacks the last line is told."""
    if lines := said.strip().splitlines():
        log.warning("Prefect's worker: %s", lines[-1 if lines[0].startswith("Traceback") else 0])


async def _drained(worker: "ProcessWorker", again: "asyncio.Queue[None]") -> float:
    """Take nothing new, and wait for what runs; the seconds that are left then, none after a second signal."""
    from pipelines import sweep

    sweep.stop()
    limiter = worker.limiter
    under_way = limiter.borrowed_tokens
    limiter.total_tokens = 0  # no run is given to a worker that has no room
    log.info("draining: %d runs are under way", under_way)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + settings().drain_seconds
    while limiter.borrowed_tokens and loop.time() < deadline and again.empty():
        await asyncio.sleep(LOOKS_EVERY)
    log.info("drained: %d runs are ended and go on elsewhere", limiter.borrowed_tokens)
    return max(0.0, deadline - loop.time()) if again.empty() else 0.0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m pipelines.pool_worker", description=__doc__)
    parser.add_argument("pool", metavar="POOL", help="its name, such as appointment360")
    parser.add_argument("--name", help="the worker's, as Prefect's screens show it")
    parser.add_argument("--limit", type=int, default=4, help="runs at a time")
    chosen = parser.parse_args(arguments)
    logs.begin("worker")
    try:
        work(chosen.pool, name=chosen.name, limit=chosen.limit)
    except AppError as error:
        log.error("%s", error.sentence)
        return 1
    return 0


if __name__ == "__main__":
    threading.current_thread().name = "worker"
    raise SystemExit(main())
