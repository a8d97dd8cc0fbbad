"""Prefect's server as a process: `python -m deploy.prefect_process --port 4200`.

As `prefect server start` it prints a banner and what keeps it from starting, and it serves the list of what can be
asked to whoever comes. Here all that is told is a line of the log, and for that list one signs in as for the rest.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hmac
from typing import TYPE_CHECKING

from models import logs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

OPEN_TO_ALL = ("/docs", "/redoc", "/openapi.json")  # by FastAPI, beside the interface that asks who comes


class Guarded:
    """`sign_in` is USER:PASSWORD; with an empty one everybody may ask."""

    def __init__(self, app: ASGIApp, sign_in: str) -> None:
        self.app, self.sign_in = app, sign_in

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, _in_a_line(send))
        elif scope["type"] == "http" and scope["path"].startswith(OPEN_TO_ALL) and not self._may(scope):
            told = [(b"www-authenticate", b"Basic"), (b"content-type", b"text/plain")]
            await send({"type": "http.response.start", "status": 401, "headers": told})
            await send({"type": "http.response.body", "body": b"Sign in first."})
        else:
            await self.app(scope, receive, send)

    def _may(self, scope: Scope) -> bool:
        given = dict(scope["headers"]).get(b"authorization", b"")
        kind, _, shown = given.partition(b" ")
        try:
            words = base64.b64decode(shown) if kind.lower() == b"basic" else b""
        except binascii.Error:
            return False
        return not self.sign_in or hmac.compare_digest(words, self.sign_in.encode())


def _in_a_line(send: Send) -> Send:
    """What keeps it from starting, by the last line of the traceback."""

    async def told(message: Message) -> None:
        if message["type"] == "lifespan.startup.failed" and (text := message.get("message", "").strip()):
            message = {**message, "message": f"Prefect does not start: {text.splitlines()[-1]}"}
        await send(message)

    return told


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.prefect_process", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=4200)
    chosen = parser.parse_args(arguments)
    logs.begin("prefect")
    logs.take_printed()
    import uvicorn
    from prefect.server.api.server import create_app  # it reads its environment when it is loaded
    from prefect.settings import get_current_settings

    api = get_current_settings().server.api
    sign_in = api.auth_string.get_secret_value() if api.auth_string else ""
    uvicorn.run(
        Guarded(create_app(final=True), sign_in),
        host=chosen.host,
        port=chosen.port,
        timeout_keep_alive=api.keepalive_timeout,
        log_config=None,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
