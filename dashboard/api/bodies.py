"""How large a body may be that is read whole: what is larger comes in parts, to routes that stream."""

from http import HTTPStatus

from fastapi import HTTPException, Request
from starlette.types import Message

LARGEST = 20_000_000  # bytes; a thousand contacts with long notes


def bounded(request: Request) -> Request:
    """The same request, whose body ends with 413 where it is larger, whatever its headers say."""
    received = 0
    receive = request.receive

    async def counting() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > LARGEST:
            # Not an error of ours: FastAPI would make “error parsing the body” of it.
            raise HTTPException(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The request is larger than {LARGEST:,} bytes: send less at once."
            )
        return message

    return Request(request.scope, counting)
