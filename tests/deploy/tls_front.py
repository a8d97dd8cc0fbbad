"""A database that is reached by TLS alone: the tests' own server, which has none, behind a door that has."""

import asyncio
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.certificates import server_side

ASKED = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"  # PostgreSQL's SSLRequest
BLOCK = 65_536  # bytes


@contextmanager
def tls_before(port: int, certificate: Path) -> Iterator[int]:
    """The port of the door."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def let_in(reader: StreamReader, writer: StreamWriter) -> None:
        if await reader.read(len(ASKED)) == ASKED:  # else it is sent away
            writer.write(b"S")
            await writer.start_tls(server_side(certificate))
            inner, out = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(passed_on(reader, out), passed_on(inner, writer))
        writer.close()

    opening = asyncio.start_server(let_in, "127.0.0.1", 0)
    server = asyncio.run_coroutine_threadsafe(opening, loop).result()
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def passed_on(source: StreamReader, to: StreamWriter) -> None:
    try:
        while block := await source.read(BLOCK):
            to.write(block)
            await to.drain()
    except OSError:
        pass
    finally:
        to.close()
