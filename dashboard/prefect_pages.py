"""Prefect's own screens below /prefect, for those who may manage the server: passed on to Prefect with its sign-in, so
that nobody has to know that, and its port stays closed to other machines. They are for looking only: who may change
what is there can have workers start any command, which is more than a role of ours allows. Jobs runs, stops and pauses.

Prefect is told by PREFECT_UI_SERVE_BASE that its screens are there; its interface for them is at /prefect/api.
"""

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote

import httpx
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from dashboard import edge
from models.errors import NotAllowed
from models.permissions import Permission, require

BASE = "/prefect"
METHODS = ("GET", "HEAD", "POST")
LOOKING = "Prefect’s screens are for looking here. Run, stop and pause what runs by itself on the screen Jobs."
PATIENCE = 30.0  # seconds
SOON = 1.0  # seconds, for who only wants to know whether it is there
SECRETS = re.compile(r".*/block_documents(/.*)?", re.IGNORECASE)  # who asks for include_secrets is given them
KEPT_BACK = "What Prefect’s blocks hold may be secret, and is not shown here."
AWAY = "Prefect does not answer just now: it comes some 15 seconds after the web. Load this page again then."
ASKED_WITH = ("accept", "accept-encoding", "content-type", "if-none-match", "prefer", "x-prefect-api-version")
ANSWERED_WITH = (
    "content-type", "content-encoding", "content-length", "cache-control", "etag", "last-modified", "location", "vary",
)  # fmt: skip
# What Prefect's screens read by POST; anything else that is no GET changes something.
READS = re.compile(
    r".*/(filter|paginate|counts?|history|lateness|next-runs|count-deployments|count-task-runs|concurrency_status"
    r"|validate|count-by/.+)/?"
)


class _Client:
    """One for the process, whose connections are used again."""

    there: httpx.AsyncClient | None = None


@asynccontextmanager
async def opened() -> AsyncIterator[None]:
    async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as client:
        _Client.there = client
        try:
            yield
        finally:
            _Client.there = None


async def answers() -> bool | None:
    """Whether Prefect's server answers now; None where it is not set up."""
    root, user, password = _prefect()
    if root is None or _Client.there is None:
        return None
    try:
        asked = await _Client.there.get(f"{root}/api/health", auth=(user, password), timeout=SOON)
    except httpx.HTTPError:
        return False
    return asked.is_success


async def screens(request: Request) -> Response:
    """What Prefect answers; 401, 403, or 502 where it does not."""
    by = await edge.signed_in(request.scope)
    if by is None:
        return PlainTextResponse("Sign in first, then open this link again.", 401)
    path = request.url.path.removeprefix(BASE)
    try:
        require(by, Permission.SERVER_MANAGE)
    except NotAllowed as error:
        return PlainTextResponse(error.sentence, 403)
    if request.method == "POST" and not READS.fullmatch(path):
        return JSONResponse({"detail": LOOKING}, 403)
    if SECRETS.fullmatch(path):
        return JSONResponse({"detail": KEPT_BACK}, 403)
    try:
        return await _passed_on(request, path)
    except httpx.HTTPError:
        return PlainTextResponse(AWAY, 502)


async def _passed_on(request: Request, path: str) -> Response:
    root, user, password = _prefect()
    if _Client.there is None or root is None:
        return PlainTextResponse(AWAY, 502)
    told = {name: request.headers[name] for name in ASKED_WITH if name in request.headers}
    # Its interface lies at its root, its screens below BASE there as well.
    where = quote(path if path.startswith("/api/") else BASE + path, safe="/:@!$&'()*+,;=~")
    asked = _Client.there.build_request(
        request.method, f"{root}{where}", params=request.url.query.encode(), headers=told, content=await request.body()
    )
    answer = await _Client.there.send(asked, auth=(user, password), stream=True)
    if path == "/ui-settings":
        return await _settings(request, answer)
    headers = {name: answer.headers[name] for name in ANSWERED_WITH if name in answer.headers}
    headers |= {"location": headers["location"].removeprefix(root)} if "location" in headers else {}
    body = answer.aiter_raw()
    return StreamingResponse(body, answer.status_code, headers, background=BackgroundTask(answer.aclose))


async def _settings(request: Request, answer: httpx.Response) -> Response:
    """What its screens learn first: that their interface is here, and that nobody signs in to it."""
    await answer.aread()
    await answer.aclose()
    scheme = "https" if edge.is_secure(request.scope) else "http"
    here = f"{scheme}://{request.headers.get('host', '')}{BASE}/api"
    return JSONResponse(answer.raise_for_status().json() | {"api_url": here, "auth": None})


def _prefect() -> tuple[str | None, str, str]:
    """Where it is, if it is set up, and its sign-in."""
    api = os.environ.get("PREFECT_API_URL")
    user, _, password = os.environ.get("PREFECT_API_AUTH_STRING", "").partition(":")
    return (api.rstrip("/").removesuffix("/api") if api else None), user, password
