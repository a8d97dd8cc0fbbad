"""One instance of the web as a process: `python -m dashboard.process --port 8360`. It is uvicorn, which tells systemd,
where one asks, that it serves, that its loop turns, and that it is about to end.

As shipped uvicorn's command line knows nobody to tell; `uvicorn dashboard.server:app` serves the same.
"""

import argparse
import asyncio
import logging
import signal
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from types import FrameType

import uvicorn

from dashboard import readiness
from dashboard.bounded_http import BoundedHttp
from models import garbage, service_manager

log = logging.getLogger(__name__)

EACH_SECOND = 10  # ticks of uvicorn's loop
ASKED_EVERY = 0.2  # seconds until it is ready


class Server(uvicorn.Server):
    starting: asyncio.Task[None] | None = None

    async def on_tick(self, counter: int) -> bool:
        """Called by uvicorn ten times a second, from when it listens until it is told to end."""
        if self.starting is None:
            self.starting = asyncio.create_task(_until_ready(f"http://{self.config.host}:{self.config.port}"))
        if counter % EACH_SECOND == 0:
            service_manager.alive()
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        log.info("told to end by %s: what was asked is answered first", signal.Signals(sig).name)
        service_manager.stopping(timedelta(seconds=self.config.timeout_graceful_shutdown or 0))
        super().handle_exit(sig, frame)

    async def shutdown(self, *arguments: object, **named: object) -> None:
        if self.starting is not None:
            self.starting.cancel()
            with suppress(asyncio.CancelledError):
                await self.starting
        await super().shutdown(*arguments, **named)  # type: ignore[arg-type]


async def _until_ready(address: str) -> None:
    """Listening is not enough: who is let in needs the database, too."""
    while fault := await readiness.fault():
        service_manager.waiting(fault)
        await asyncio.sleep(ASKED_EVERY)
    service_manager.ready()
    log.info("ready at %s", address)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m dashboard.process", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--timeout-keep-alive", type=int, default=5, metavar="SECONDS")
    parser.add_argument("--timeout-graceful-shutdown", type=int, metavar="SECONDS")
    believed = parser.add_mutually_exclusive_group()
    believed.add_argument("--forwarded-allow-ips", metavar="ADDRESSES", help="whose X-Forwarded-* are believed")
    believed.add_argument("--no-proxy-headers", dest="proxy_headers", action="store_false", help="nobody's are")
    chosen = vars(parser.parse_args(arguments))
    config = uvicorn.Config("dashboard.server:app", http=BoundedHttp, **chosen)
    config.load_app()
    server = Server(config)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        raise SystemExit(1)


if __name__ == "__main__":
    garbage.seldom_sought_while_loading()
    main()
