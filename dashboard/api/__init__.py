"""The API for programs: mounted at /api/v1 by dashboard/server.py, or alone as `uvicorn dashboard.api:api`."""

import secrets
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard import mail_delivery
from dashboard.api import (
    audit,
    backups,
    bodies,
    checks,
    conditions,
    contact_bulk,
    contact_copies,
    contact_deleted,
    contact_differences,
    contact_lookups,
    contact_past,
    contacts,
    credits,
    differences,
    docs,
    duplicates,
    exports,
    health,
    housekeeping,
    import_findings,
    import_kept,
    import_mappings,
    import_plans,
    imports,
    industries,
    jobs,
    limits,
    links,
    mappings,
    merges,
    payment_admin,
    payments,
    performance,
    problems,
    profile,
    schema,
    sessions,
    statistics,
    tokens,
    uploads,
    users,
    view_schedules,
    views,
    watched_folders,
)
from models import awaited, database, timings
from models.errors import AppError, Unavailable
from models.settings import settings
from models.tallies import TALLY, Tally

DESCRIPTION = """Everything that the screens do, for programs, by the same rules.

Send a token with each request: `Authorization: Bearer …`. Filters are those of the screens' addresses. Moments are ISO
8601 in UTC. Errors are `application/problem+json`. A POST with an `Idempotency-Key` may be sent again: it is carried
out once. What is changed is named by its `ETag` in `If-Match`. Every GET has its HEAD."""


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Where the API runs alone; as a part of the web it uses what that has bound."""
    url = settings().database_url
    if url is None:
        raise Unavailable("The API needs a database: set DATABASE_URL, or start everything with `appointment360 up`.")
    database.bind(url.get_secret_value(), patience=settings().search_seconds, replica=settings().replica)
    with timings.keeping(), mail_delivery.delivering():
        async with awaited.opened():
            yield
    limits.give_back()
    database.unbind()


class Answering:
    """Pure ASGI: every answer has its number and what is left of the hour, and how long it took is noted: until it
    begins, for how long it then flows is the reader's doing."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, _started(send))
            return
        request_id = scope.get("appointment360.request_id")
        if request_id is None:
            request_id = scope["appointment360.request_id"] = secrets.token_hex(8)

        tally, began = Tally(), time.perf_counter()
        TALLY.set(tally)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                _note(scope, message["status"], time.perf_counter() - began, tally)
                given = {name for name, _ in message["headers"]}
                told = {"x-request-id": request_id, "cache-control": "no-store"}
                if (left := scope.get(limits.LEFT)) is not None:
                    told |= left.headers
                missing = [(name.encode(), value.encode()) for name, value in told.items()]
                message["headers"] = [*message["headers"], *(one for one in missing if one[0] not in given)]
            await send(message)

        await self.app(scope, receive, answer)


def _note(scope: Scope, status: int, seconds: float, tally: Tally) -> None:
    """By the pattern of the route, since its path may name somebody."""
    route, by = scope.get("route"), scope.get(problems.ACTOR)
    pattern = getattr(route, "path", "no such address")
    timings.note(
        "api", f"{scope['method']} {pattern}", seconds, tally, user_id=by.id if by else None, failed=status >= 500
    )


def _started(send: Send) -> Send:
    """What keeps the API from starting is told by its sentence, in place of where in the program it was raised."""

    async def told(message: Message) -> None:
        error = sys.exception()
        if message["type"] == "lifespan.startup.failed" and isinstance(error, AppError):
            message = {**message, "message": error.sentence}
        await send(message)

    return told


# FastAPI's own documentation page loads its script from a CDN: see docs.py.
api = FastAPI(
    title="Appointment360",
    version="1",
    description=DESCRIPTION,
    docs_url=None,
    redoc_url=None,
    lifespan=lifespan,
    generate_unique_id_function=schema.operation_id,
)
api.add_middleware(bodies.Bounded)
api.add_middleware(Answering)
api.add_middleware(conditions.Conditions)
problems.add_to(api)
# Looked through in this order for each request: what is asked most comes first.
for resource in (
    differences,  # before the contacts: its addresses are not those of one
    contacts, contact_lookups, contact_past, contact_bulk, contact_deleted, contact_copies, contact_differences,
    sessions, links, profile, tokens, users, credits, audit,
    duplicates, merges, checks, industries, views, view_schedules, watched_folders, statistics,
    imports, uploads, import_mappings, import_plans, import_findings, import_kept, mappings, exports,
    payments, payment_admin, jobs, backups, performance, housekeeping,
    docs, health,
):  # fmt: skip
    api.include_router(resource.router)
schema.describe(api)
