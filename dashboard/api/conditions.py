"""What HTTP promises of every GET: HEAD answers the same without the body, and what the asker has already, by its ETag
in `If-None-Match`, is answered by 304."""

import asyncio
import re
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEAD = "appointment360.api_head"  # where the scope of a HEAD says that it is one, while the route of GET answers it
OWN = re.compile(r"/exports/[^/]+/file")  # whose HEAD is a route of its own, and reads no file
OF_A_BODY = ("content-length", "content-type", "content-encoding", "content-disposition", "accept-ranges")


def is_head(request: HTTPConnection) -> bool:
    """For routes whose GET costs something."""
    return HEAD in request.scope


class Conditions:
    """Pure ASGI, around everything else."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope.get("method")
        known = Headers(scope=scope).get("if-none-match") if scope["type"] == "http" else None
        is_asked = method == "HEAD" and not OWN.search(scope["path"])
        if not is_asked and not (method == "GET" and known):
            await self.app(scope, receive, send)
            return
        inner = {**scope, "method": "GET", HEAD: True} if is_asked else scope
        answer = _Bare(receive, send, known, is_bare=is_asked)
        await self.app(inner, answer.receive, answer.send)


class _Bare:
    """An answer without its body: of a HEAD always, else where the asker has it."""

    def __init__(self, receive: Receive, send: Send, known: str | None, *, is_bare: bool) -> None:
        self._receive, self._send, self._known, self._is_bare = receive, send, known, is_bare
        self._asked, self._over = False, asyncio.Event()

    async def receive(self) -> Message:
        """The request, and then its end, as soon as the answer is over: nothing goes on to be read for nobody."""
        if not self._is_bare or not self._asked:
            self._asked = True
            return await self._receive()
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if message["status"] == HTTPStatus.OK and self._is_known(Headers(raw=message["headers"]).get("etag")):
                self._is_bare = True
                message = {**message, "status": int(HTTPStatus.NOT_MODIFIED), "headers": [*message["headers"]]}
                headers = MutableHeaders(raw=message["headers"])
                for name in OF_A_BODY:
                    del headers[name]
                message["headers"] = headers.raw
            await self._send(message)
        elif not self._is_bare:
            await self._send(message)
        elif not self._over.is_set():
            self._over.set()
            await self._send({"type": "http.response.body", "body": b""})

    def _is_known(self, etag: str | None) -> bool:
        if self._known is None or etag is None:
            return False
        tags = [one.strip().removeprefix("W/") for one in self._known.split(",")]
        return "*" in tags or etag.removeprefix("W/") in tags
