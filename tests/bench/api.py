"""What a request to the API costs, against bare FastAPI and psycopg with the same statements, one after the other, and
whether fifty connections are answered for half a minute."""

import asyncio
import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Select, func, select
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from deploy.parts import KEEP_ALIVE
from models import audit, filters, tokens
from models.contacts import likeness, records, search
from models.contacts.table import Contact
from models.database import SET, libpq_url, reading
from models.permissions import OPERATOR, Role
from tests import people
from tests.bench.limits import Measured, milliseconds
from tests.waiting import free_port

TIMES, WARM = 400, 50
CONNECTIONS, SECONDS = 50, 30.0
ASKED = "country=Germany&seniority=VP"
SIZE = 50
RATIO = 1.5  # of the baseline's median
# Told beside it, and without a limit: what the rules cost that stand around the INSERT.
INSERT_ALONE = "creating one, against the INSERT alone"
PLACE = 987_654_321_987_654  # stands in a statement for the contact's number
ROOT = Path(__file__).parents[2]
NEW = {"first_name": "Ann", "last_name": "Archer", "title": "VP Sales", "company": "Acme", "country": "Germany"}


@dataclass(frozen=True)
class Sides:
    """The two servers' clients, and the contacts that are asked for."""

    ours: httpx.Client
    plain: httpx.Client
    ids: list[int]


def measured(url: str, folder: Path) -> Iterator[Measured]:
    """Each kind of request to both in turn; the ratio of their medians has the limit. Then fifty at once."""
    people.person(email="program@example.com", name="Program", role=Role.ADMIN, by=OPERATOR)
    _, token = tokens.create_for("program@example.com", "bench", by=OPERATOR)
    with _sides(url, folder, token) as sides:
        for what, ours, plain in _requests(sides):
            yield from _compared(what, ours, plain)
        ended = asyncio.run(_together(str(sides.ours.base_url), token, sides.ids))
    yield Measured(f"{CONNECTIONS} connections for {SECONDS:.0f} s: requests", len(ended), "")
    yield Measured("of them without a 200", sum(status != 200 for status, _ in ended), "", 0)
    yield Measured("p50", milliseconds([took for _, took in ended], 0.5), "ms")
    yield Measured("p99", milliseconds([took for _, took in ended], 0.99), "ms")


def _requests(sides: Sides) -> Iterator[tuple[str, Callable[[int], httpx.Response], Callable[[int], httpx.Response]]]:
    def one(client: httpx.Client) -> Callable[[int], httpx.Response]:
        return lambda number: client.get(f"/contacts/{sides.ids[number % len(sides.ids)]}")

    def page(client: httpx.Client) -> Callable[[int], httpx.Response]:
        return lambda _: client.get(f"/contacts?{ASKED}&size={SIZE}")

    def create(client: httpx.Client, side: str, path: str = "/contacts") -> Callable[[int], httpx.Response]:
        return lambda number: client.post(path, json=NEW | {"email": f"{side}{number}@bench.example"})

    yield "one contact", one(sides.ours), one(sides.plain)
    yield f"a filtered list of {SIZE}", page(sides.ours), page(sides.plain)
    yield "creating one", create(sides.ours, "ours"), create(sides.plain, "plain")
    yield INSERT_ALONE, create(sides.ours, "again"), create(sides.plain, "bare", "/contacts/bare")


def _compared(
    what: str, ours: Callable[[int], httpx.Response], plain: Callable[[int], httpx.Response]
) -> Iterator[Measured]:
    taken: dict[str, list[float]] = {"ours": [], "plain": []}
    for number in range(WARM + TIMES):
        for side, ask in (("ours", ours), ("plain", plain)):
            started = time.perf_counter()
            answer = ask(number)
            seconds = time.perf_counter() - started
            answer.raise_for_status()
            if number >= WARM:
                taken[side].append(seconds)
    p50 = {side: milliseconds(seconds, 0.5) for side, seconds in taken.items()}
    for side, name in (("ours", ""), ("plain", ", bare FastAPI")):
        told = [f"{p50[side]:.2f}", f"{milliseconds(taken[side], 0.99):.2f}"]
        yield Measured(f"{what}{name}: p50 {told[0]} ms, p99 {told[1]} ms", 1000 * p50[side], "µs")
    limit = None if what == INSERT_ALONE else 100 * RATIO
    yield Measured(f"{what}: of the baseline's p50", 100 * p50["ours"] / p50["plain"], "%", limit)


async def _together(address: str, token: str, ids: list[int]) -> list[tuple[int, float]]:
    """(status, seconds) of every request that was answered within the time."""
    until = time.monotonic() + SECONDS
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    headers = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=address, headers=headers, limits=limits, timeout=60) as client:
        each = [_one_after_the_other(client, ids, seed, until) for seed in range(CONNECTIONS)]
        return [one for some in await asyncio.gather(*each) for one in some]


async def _one_after_the_other(
    client: httpx.AsyncClient, ids: list[int], seed: int, until: float
) -> list[tuple[int, float]]:
    chance, ended = random.Random(seed), []
    while time.monotonic() < until:
        path = f"/contacts?{ASKED}&size={SIZE}" if chance.random() < 0.3 else f"/contacts/{chance.choice(ids)}"
        started = time.perf_counter()
        answer = await client.get(path)
        ended.append((answer.status_code, time.perf_counter() - started))
    return ended


@contextmanager
def _sides(url: str, folder: Path, token: str) -> Iterator[Sides]:
    statements = folder / "statements.json"
    statements.write_text(json.dumps(_statements()))
    environment = {
        **os.environ, "DATABASE_URL": url, "APPOINTMENT360_REQUESTS_PER_HOUR": "100000000", "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    bare = {**environment, "DATABASE_URL": libpq_url(url), "STATEMENTS": str(statements)}
    with ExitStack() as stack:
        ours = stack.enter_context(_served("dashboard.api:api", environment, folder))
        plain = stack.enter_context(_served("tests.bench.plain_api:plain", bare, folder))
        headers = {"authorization": f"Bearer {token}"}
        with (
            httpx.Client(base_url=ours, headers=headers, timeout=60) as our_client,
            httpx.Client(base_url=plain, timeout=60) as plain_client,
        ):
            yield Sides(our_client, plain_client, _some_ids())


@contextmanager
def _served(application: str, environment: dict[str, str], folder: Path) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", application, "--port", str(port), "--no-access-log"]
    command += ["--timeout-keep-alive", str(KEEP_ALIVE)]  # as `up` does it
    with (folder / f"{application.partition(':')[0]}.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
        try:
            _wait_for(port, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with socket.socket() as caller:
            if caller.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError("A server of the bench did not start: its log stands in the folder.")


def _some_ids() -> list[int]:
    wanted = select(Contact.id).order_by(func.hashint8(Contact.id)).limit(500)
    with reading() as session:
        return list(session.scalars(wanted))


def _statements() -> dict[str, tuple[str, dict[str, Any]]]:
    """What ours asks, with what is given each time; beside it come the contact's number, as `id`, and new values."""
    seen = search.chosen_columns(None, by=OPERATOR)
    asked = filters.parse_query(ASKED, by=OPERATOR).condition(by=OPERATOR)
    page = select(Contact.id, *search.labelled(seen)).where(asked).order_by(Contact.id.desc()).limit(SIZE)
    one = _text(records.whole(PLACE, by=OPERATOR)).replace(str(PLACE), "%(id)s")
    columns = {**dict.fromkeys([*NEW, "email"]), **records.DEFAULTS, "created_by": None}
    inserting, defaults = records.inserting(tuple(columns))
    told = {"actor_id": None, "actor_name": "bench", "address": None, "event": "contact created", "subject": "contact"}
    return {
        "one": (one, {}),
        "page": (_text(page), {}),
        "who": (SET.decode(), {"by": "", "import": "", "lock_timeout": "10s"}),
        "alike": likeness.looking(("email",), likeness.SHOWN),
        "create": (inserting, {**defaults, **columns}),
        "told": (audit.inserting(), told),
    }


def _text(wanted: Select[Any]) -> str:
    return str(wanted.compile(dialect=PGDialect_psycopg(), compile_kwargs={"literal_binds": True}))
