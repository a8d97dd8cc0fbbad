"""The contacts screen for many people who click at the same moment, over the websockets that a browser opens."""

import asyncio
import random
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from models import sign_ins
from models.permissions import OPERATOR, Role
from tests import people
from tests.bench.limits import Measured, milliseconds
from tests.bench.processes import METRICS, memory_of_web, until_mirrored
from tests.dashboard.conftest import served

PEOPLE = 20
ROUNDS = 5
CLICKS = [
    *(f"page={number}" for number in range(2, 8)),
    *(f"seniority={name}" for name in ("VP", "Director", "Manager", "C suite", "Entry")),
    "country=Germany", "email_status=Verified", "country=Germany&seniority=VP",
    "sort=last_name", "sort=-annual_revenue",
]  # fmt: skip
PATIENCE = 120  # seconds for one click


@dataclass(frozen=True)
class Waited:
    """Seconds of each click until the rows of the table came, and until all of the screen was there, facets included;
    and the resident bytes of the web while everybody is there."""

    rows: list[float]
    everything: list[float]
    web_memory: int


def token() -> str:
    """Signs somebody in who was never here before."""
    somebody = people.person(email=f"{time.time_ns()}@example.com", name="Clicking", role=Role.ADMIN, by=OPERATOR)
    return sign_ins.redeem_ticket(sign_ins.issue_ticket(somebody.actor()), address=None, device=None)


def measure(url: str, home: Path, *, people: int = PEOPLE, rounds: int = ROUNDS) -> Waited:
    """Everybody has the screen open, clicks at the same moment, and again when all have everything."""
    tokens = [token() for _ in range(people)]
    with (
        tempfile.TemporaryDirectory() as folder,
        served(url, Path(folder), APPOINTMENT360_HOME=str(home), **METRICS) as web,
    ):
        until_mirrored(web)
        return asyncio.run(_together(web, tokens, rounds))


async def _together(web: str, tokens: list[str], rounds: int) -> Waited:
    chance, gate = random.Random(360), asyncio.Barrier(len(tokens))
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(_connected(web, one)) for one in tokens]
        clicked = await asyncio.gather(*(_person(one, gate, chance.sample(CLICKS, rounds)) for one in sockets))
        memory = memory_of_web()
    waited = [one for clicks in clicked for one in clicks]
    return Waited([rows for rows, _ in waited], [everything for _, everything in waited], memory)


def _connected(web: str, session: str) -> connect:
    return connect(
        f"{web.replace('http', 'ws', 1)}/_stcore/stream",
        origin=Origin(web),
        additional_headers={"Cookie": f"session={session}"},
        subprotocols=[Subprotocol("streamlit")],
        max_size=None,
    )


async def _person(socket: ClientConnection, gate: asyncio.Barrier, clicks: list[str]) -> list[tuple[float, float]]:
    await _shown(socket, "")
    waited = []
    for query in clicks:
        await gate.wait()
        waited.append(await _shown(socket, query))
    return waited


async def _shown(socket: ClientConnection, query: str) -> tuple[float, float]:
    """Seconds until the rows of that view came, and until the script was done."""
    asked = BackMsg()
    asked.rerun_script.query_string, asked.rerun_script.page_name = query, "contacts"
    context = asked.rerun_script.context_info
    context.locale, context.timezone = "en-GB", "UTC"
    started, rows = time.perf_counter(), None
    await socket.send(asked.SerializeToString())
    async with asyncio.timeout(PATIENCE):
        while True:
            told = ForwardMsg.FromString(await socket.recv(decode=False))
            now = time.perf_counter() - started
            kind = told.WhichOneof("type")
            if kind == "delta" and told.delta.new_element.WhichOneof("type") == "dataframe":
                rows = now
            elif kind == "script_finished" and told.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                if rows is None:
                    raise RuntimeError(f"The screen came without rows: {query or 'no filter'}")
                return rows, now


def measured(waited: Waited) -> list[Measured]:
    everything = (("p50", 0.5), ("p95", 0.95), ("longest", 1.0))
    return [
        Measured("rows there, p50", milliseconds(waited.rows, 0.5), "ms"),
        Measured("rows there, p95", milliseconds(waited.rows, 0.95), "ms", 1000),
        Measured("rows there, longest", milliseconds(waited.rows, 1), "ms"),
        *(Measured(f"facets as well, {name}", milliseconds(waited.everything, at), "ms") for name, at in everything),
        Measured("memory of the web meanwhile", waited.web_memory / 2**20, "MB", 2048),
    ]
