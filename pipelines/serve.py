"""The flow runner of one machine: `python -m pipelines.serve` offers every flow under FLOW/default, and those that run
by schedule under FLOW/scheduled, too.

Reads PREFECT_API_URL (where Prefect's server is) and waits for that server; SIGTERM ends it. Each run is a process of
its own, which finds our database by DATABASE_URL, as does the sweep that this process repeats beside them. What was
asked for has a queue to itself: it never waits for what is scheduled.
"""

import asyncio
import os
import signal
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

from models.errors import Unavailable

if TYPE_CHECKING:
    from prefect.runner import Runner

    from pipelines.schedule import Queue

WAIT_LIMIT = 300.0
PAUSE = 0.5


def main() -> None:
    write_schedules()
    wait_for_prefect(os.environ.get("PREFECT_API_URL", ""))
    os.environ.setdefault("PREFECT_RUNNER_POLL_FREQUENCY", "1")
    # Only now: importing Prefect takes seconds of a processor that its server needs to start.
    from pipelines import deployments, schedule, sweep

    runners = [_runner(schedule.ASKED), _runner(schedule.SCHEDULED)]
    for runner, offered in zip(runners, (deployments.asked(), deployments.scheduled()), strict=True):
        for one in offered:
            runner.add_deployment(one)
    sweep.keep_sweeping()
    asyncio.run(_run(runners))


def write_schedules() -> None:
    """At once, so that nobody reads those of the runner before: Prefect's server takes its time."""
    from models import flow_schedules
    from pipelines import schedule
    from pipelines.own_database import bind_database

    bind_database()
    flow_schedules.write(schedule.entries())


def wait_for_prefect(api: str) -> None:
    """Return when the server answers. Raises Unavailable after WAIT_LIMIT seconds, or where no address is set."""
    if not api.startswith(("http://", "https://")):
        raise Unavailable("PREFECT_API_URL is not set: start Prefect's server, or all of it with `appointment360 up`.")
    deadline = time.monotonic() + WAIT_LIMIT
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{api}/health", timeout=5):  # noqa: S310  http or https, checked above
                return
        except (OSError, urllib.error.URLError):
            time.sleep(PAUSE)
    raise Unavailable(f"Prefect's server at {api} has not answered for {WAIT_LIMIT:.0f} seconds.")


def _runner(queue: "Queue") -> "Runner":
    """Its schedules go on while it is away, so that what was missed is made up."""
    from prefect.runner import Runner

    return Runner(queue.name, limit=queue.at_once, pause_on_shutdown=False)


async def _run(runners: list["Runner"]) -> None:
    """Both, until SIGTERM, which ends the runs of both."""
    started = [asyncio.create_task(runner.start()) for runner in runners]
    await asyncio.sleep(0)  # each takes the signal for itself before it waits for the first time
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    ending = asyncio.create_task(over.wait())
    await asyncio.wait([*started, ending], return_when=asyncio.FIRST_COMPLETED)
    for runner, task in zip(runners, started, strict=True):
        if runner.started:
            await runner.astop()
        else:
            task.cancel()
    ending.cancel()
    await asyncio.gather(*started, return_exceptions=True)
    for task in started:
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error


if __name__ == "__main__":
    main()
