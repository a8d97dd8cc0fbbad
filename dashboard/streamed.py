"""The body of a request as it comes, in blocks that are worth a write to the disk: nothing gathers in memory."""

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request

WRITTEN_AT_ONCE = 1_048_576  # bytes
PATIENCE = 30  # seconds without a byte, after which the sender has gone away
SILENT = "Nothing arrived for a while."


async def blocks(request: Request) -> AsyncIterator[bytes]:
    """In blocks of WRITTEN_AT_ONCE; when it breaks off, first what came before. Raises TimeoutError,
    ClientDisconnect."""
    stream = aiter(request.stream())
    block = bytearray()
    broken: Exception | None = None
    while broken is None:
        try:
            block += await asyncio.wait_for(anext(stream), PATIENCE)
        except StopAsyncIteration:
            break
        except (TimeoutError, ClientDisconnect) as error:
            broken = error
        if len(block) >= WRITTEN_AT_ONCE:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)
    if broken is not None:
        raise broken
