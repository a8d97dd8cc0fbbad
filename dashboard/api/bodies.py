"""How much a request may send: JSON is read into memory whole, so there is an end to it. Parts of files are streamed,
and have their own."""

import re
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST = 16_000_000  # bytes
STREAMED = re.compile(r"/imports/[^/]+/parts/[^/]+")
TOO_LARGE = f"The body of a request has at most {MOST:,} bytes: send less at once."


class Bounded:
    """Pure ASGI: whoever reads a body that is too long gets a refusal in its place."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or STREAMED.search(scope["path"]):
            await self.app(scope, receive, send)
            return
        said = Headers(scope=scope).get("content-length", "0")
        came = 0

        async def bounded() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            # An HTTPException, since FastAPI makes a fault in the JSON of everything else.
            if came > MOST or (said.isdecimal() and int(said) > MOST):
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, TOO_LARGE)
            return message

        await self.app(scope, bounded, send)
