"""Uploads: a file in pieces, straight from the request to the disk. Streamlit's uploader would hold it in memory.

A browser begins an upload, sends pieces one after the other, each from where the last one ended, and completes it. When
it breaks, what arrived is kept: the browser asks where that ends, and goes on from there.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from dashboard import edge, streamed
from models import import_uploads
from models.disk_space import NoRoom
from models.errors import AppError, InvalidInput, NotAllowed, NotFound, Unavailable
from models.import_uploads import Part, SharedPart, TooLarge, Upload, WrongPlace
from models.permissions import Actor
from models.upload_files import Held

MAX_BODY = 16_384  # bytes of the request that begins an upload
SIGNED_OUT = "You are signed out. Sign in again, in another tab if you like, and go on."
STATUS = {
    WrongPlace: HTTPStatus.CONFLICT,
    Held: HTTPStatus.LOCKED,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    NoRoom: HTTPStatus.INSUFFICIENT_STORAGE,
    InvalidInput: HTTPStatus.BAD_REQUEST,
    NotAllowed: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}

Route = Callable[[Request, Actor], Awaitable[Response]]


def _signed_in(route: Route) -> Callable[[Request], Awaitable[Response]]:
    """A route for a person; errors are {"error": the sentence}, and a wrong place also says the right one."""

    async def answer(request: Request) -> Response:
        actor = await edge.signed_in(request.scope)
        if actor is None:
            return JSONResponse({"error": SIGNED_OUT}, HTTPStatus.UNAUTHORIZED)
        try:
            return await route(request, actor)
        except AppError as error:
            status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), HTTPStatus.CONFLICT)
            place = {"offset": error.offset} if isinstance(error, WrongPlace) else {}
            return JSONResponse({"error": error.sentence, **place}, status)

    return answer


@_signed_in
async def begin(request: Request, by: Actor) -> Response:
    """{"name", "size", "modified"} -> {"import_id", "name", "size", "offset", "complete"}: a new upload, or the one
    that there is of this file, unfinished or just completed."""
    asked = await _json(request)
    name, size, modified = asked.get("name"), _count(asked.get("size")), _count(asked.get("modified"))
    if not isinstance(name, str) or size is None or modified is None:
        raise InvalidInput('Send {"name": text, "size": bytes, "modified": milliseconds since 1970}.')
    upload = await run_in_threadpool(import_uploads.begin, name=name, size=size, modified=modified, by=by)
    return JSONResponse(_described(upload))


@_signed_in
async def look(request: Request, by: Actor) -> Response:
    """How much is there, as `begin` says it."""
    upload = await run_in_threadpool(import_uploads.get, request.path_params["import_id"], by=by)
    return JSONResponse(_described(upload))


@_signed_in
async def receive(request: Request, by: Actor) -> Response:
    """A piece that begins at `?offset=`; what arrives of it is kept, whatever happens then."""
    import_id = request.path_params["import_id"]
    text = request.query_params.get("offset", "")
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise InvalidInput("Say with ?offset= at which byte the piece begins.")
    try:
        offset = await _stored(request, await run_in_threadpool(import_uploads.part, import_id, int(text), by=by))
    except ClientDisconnect:
        return Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody reads it
    except TimeoutError:
        return JSONResponse({"error": streamed.SILENT}, HTTPStatus.REQUEST_TIMEOUT)
    return JSONResponse({"offset": offset})


@_signed_in
async def complete(request: Request, by: Actor) -> Response:
    """The whole file is there: the import begins. Whoever did not get the answer asks again."""
    import_id = request.path_params["import_id"]
    order = await run_in_threadpool(import_uploads.complete, import_id, by=by)
    return JSONResponse({"import_id": import_id, "order": order})


async def _stored(request: Request, part: Part | SharedPart) -> int:
    """Write the request's body to the part; returns where it ends then."""
    await run_in_threadpool(part.__enter__)
    try:
        async for data in streamed.blocks(request):
            await run_in_threadpool(part.write, data)
    finally:
        # Also when the request is cancelled: what arrived counts.
        await asyncio.shield(run_in_threadpool(part.__exit__, None, None, None))
    return part.offset


async def _json(request: Request) -> dict[str, object]:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY:
            raise InvalidInput(f"The request that begins an upload has at most {MAX_BODY:,} bytes.")
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError) as error:  # the latter for brackets in brackets
        raise InvalidInput("Send JSON.") from error
    if not isinstance(asked, dict):
        raise InvalidInput("Send a JSON object.")
    return asked


def _count(value: object) -> int | None:
    is_one = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53
    return value if is_one and isinstance(value, int) else None


def _described(upload: Upload) -> dict[str, object]:
    described = {"import_id": upload.import_id, "name": upload.name, "size": upload.size, "offset": upload.offset}
    return {**described, "complete": upload.is_complete}
