"""`Idempotency-Key`: a POST that is sent again, because its answer was lost, is answered again and not carried out."""

import hashlib
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from dashboard.api import access
from models import database, idempotency
from models.idempotency import Answer, Carried
from models.permissions import Actor

HEADER = "idempotency-key"
KEPT_HEADERS = ("content-type", "location", "etag")
UNKEPT = "secret_answer"  # a route's `openapi_extra` has it where its answer holds a secret, which is not kept
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class Repeatable(APIRoute):
    """The route class of all routers: it looks at the header of POST requests."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()
        keeps = not (self.openapi_extra or {}).get(f"x-{UNKEPT}", False)

        async def answered(request: Request) -> Response:
            if request.method != "POST" or HEADER not in request.headers or not _is_signed(self):
                return await handle(request)
            return await _once(request, handle, keeps=keeps)

        return answered


async def _once(request: Request, handle: Handler, *, keeps: bool) -> Response:
    by = await access.actor_of(request)
    begun = await run_in_threadpool(idempotency.begin, request.headers[HEADER], await _fingerprint(request), by=by)
    if isinstance(begun, Answer):
        return Response(begun.body, begun.status, {**begun.headers, "idempotency-replayed": "true"})
    return await _carried_out(request, handle, begun, keeps=keeps)


async def _carried_out(request: Request, handle: Handler, begun: Carried, *, keeps: bool) -> Response:
    marked = database.MARK.set(begun)
    try:
        response = await handle(request)
    except BaseException:
        database.MARK.reset(marked)
        await run_in_threadpool(begun.failed)
        raise
    database.MARK.reset(marked)
    body = bytes(response.body) if keeps and hasattr(response, "body") else b""
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    await run_in_threadpool(begun.answered, Answer(response.status_code, headers, body))
    return response


async def _fingerprint(request: Request) -> str:
    """What makes it the same request: where it goes, and what it says."""
    told = hashlib.sha256(f"{request.method} {request.url.path}?{request.url.query}\n".encode())
    told.update(await request.body())
    return told.hexdigest()


def _is_signed(route: APIRoute) -> bool:
    """Whether the route asks who calls: keys belong to people."""
    pending = [route.dependant]
    while pending:
        one = pending.pop()
        if one.call is access._allowed:
            return True
        pending += one.dependencies
    return False


def signed(by: Actor) -> int:
    assert by.id is not None
    return by.id
