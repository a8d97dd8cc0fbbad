"""`Idempotency-Key`: a POST that is sent again, because its answer was lost, is answered again and not carried out."""

import hashlib
import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from dashboard.api import access, problems
from models import database, idempotency
from models.errors import AppError
from models.idempotency import Answer, Carried
from models.permissions import Actor

HEADER = "idempotency-key"
KEPT_HEADERS = ("content-type", "location", "etag", "retry-after", "www-authenticate")
UNKEPT = "secret_answer"  # a route's `openapi_extra` has it where its answer holds a secret, which is not kept
SECRET: dict[str, Any] = {f"x-{UNKEPT}": True}
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class Repeatable(APIRoute):
    """The route class of all routers: it looks at the header of POST requests."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()
        keeps = not (self.openapi_extra or {}).get(f"x-{UNKEPT}", False)

        async def answered(request: Request) -> Response:
            again = request.method == "POST" and HEADER in request.headers and _is_signed(self)
            if again:
                return await _once(request, handle, keeps=keeps)
            return await handle(request)

        return answered


async def _once(request: Request, handle: Handler, *, keeps: bool) -> Response:
    by = await access.actor_of(request)
    fingerprint = await _fingerprint(request, by)
    begun = await run_in_threadpool(idempotency.begin, request.headers[HEADER], fingerprint, by=by)
    if isinstance(begun, Answer):
        return Response(begun.body, begun.status, {**begun.headers, "idempotency-replayed": "true"})
    return await _carried_out(request, handle, begun, keeps=keeps)


async def _carried_out(request: Request, handle: Handler, begun: Carried, *, keeps: bool) -> Response:
    marked = database.MARK.set(begun)
    try:
        response = await handle(request)
    except AppError as error:
        database.MARK.reset(marked)
        response = problems.of_operation(request, error)
        await run_in_threadpool(begun.refused, _kept(response, keeps=True))
        return response
    except BaseException:
        database.MARK.reset(marked)
        await run_in_threadpool(begun.failed)
        raise
    database.MARK.reset(marked)
    await run_in_threadpool(begun.answered, _kept(response, keeps=keeps))
    return response


def _kept(response: Response, *, keeps: bool) -> Answer:
    """What can be given again: nothing that is streamed, and no secret."""
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    return Answer(response.status_code, headers, bytes(response.body) if keeps and hasattr(response, "body") else None)


async def _fingerprint(request: Request, by: Actor) -> str:
    """What makes it the same request: where it goes, what it says, and what the one who asks may see and do: an answer
    that was given is not given to a token that may do less."""
    may = [by.role, *(None if one is None else sorted(one) for one in (by.columns, by.scopes))]
    asked = [request.url.path, request.url.query, request.headers.get("if-match"), *may]
    told = hashlib.sha256(f"{json.dumps(asked)}\n".encode())
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
