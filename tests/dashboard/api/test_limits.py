"""How many requests a person's programs may make in an hour: in one instance's headers, and over two instances."""

import asyncio
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select, text

from dashboard import edge
from dashboard.api import api, limits
from models import tokens
from models.database import engine, reading
from models.permissions import OPERATOR, Role
from models.request_hours import RequestHour
from models.settings import settings
from tests.dashboard.api.conftest import Client
from tests.dashboard.api.servers import instance
from tests.people import person

LIMIT = 260  # of which the first sixty are taken some at a time


def numbers(answer: httpx.Response) -> tuple[int, int]:
    assert 0 < int(answer.headers["ratelimit-reset"]) <= 3600
    return int(answer.headers["ratelimit-limit"]), int(answer.headers["ratelimit-remaining"])


def taken() -> list[int]:
    with reading() as session:
        return list(session.scalars(select(RequestHour.taken)))


@pytest.fixture(autouse=True)
def within_an_hour(db: str) -> None:
    """A new hour in the middle of a test would count anew."""
    left = "SELECT 3600 - floor(extract(epoch FROM clock_timestamp()))::bigint % 3600"  # a cast alone would round up
    while True:
        with engine().connect() as connection:
            if connection.scalar(text(left)) > 180:
                return
        time.sleep(1)


def test_every_answer_says_what_is_left(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings(), "requests_per_hour", 4)
    program, other = client(Role.ANALYST), client(Role.ANALYST)
    assert numbers(program.get("/profile")) == (4, 3)
    assert numbers(program.get("/contacts?contry=x")) == (4, 2), "errors count, too"
    assert numbers(program.get("/users")) == (4, 1), "and what is refused"
    assert numbers(program.get("/profile")) == (4, 0)
    refused = program.get("/profile")
    assert (refused.status_code, numbers(refused)) == (429, (4, 0))
    assert refused.headers["retry-after"] == refused.headers["ratelimit-reset"]
    assert refused.json()["detail"].startswith("You have made 4 requests in this hour, which is your limit.")
    assert other.get("/profile").status_code == 200
    assert "ratelimit-limit" not in program.get("/health").headers


def test_all_tokens_of_a_person_share_the_hour(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings(), "requests_per_hour", 2)
    program = client(Role.ANALYST)
    _, token = tokens.create_for("analyst0@example.com", "another", by=OPERATOR)
    for header in (program.headers["authorization"], f"Bearer {token}"):
        assert program.get("/profile", headers={"authorization": header}).status_code == 200
    assert program.get("/profile").status_code == 429


def test_what_an_instance_does_not_use_it_gives_back(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings(), "requests_per_hour", 1000)
    monkeypatch.setattr(limits, "IDLE", 600)  # however slow the machine is
    program = client(Role.ANALYST)
    for number in range(1, 4):
        assert numbers(program.get("/profile")) == (1000, 1000 - number)
    assert taken() == [1 + limits.AT_ONCE]
    limits.give_back()
    assert taken() == [3]
    assert numbers(program.get("/profile")) == (1000, 996)


def test_it_gives_back_by_itself(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "IDLE", 0.2)
    program = client(Role.ANALYST)
    for _ in range(2):
        program.get("/profile")
    deadline = time.monotonic() + 60
    while taken() != [2] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert taken() == [2]


def test_two_instances_allow_exactly_the_limit(db: str, tmp_path: Path) -> None:
    ann = person(email="ann@example.com", name="Ann", role=Role.ANALYST)
    _, token = tokens.create_for(ann.email, "a test", by=OPERATOR)
    asked = {"APPOINTMENT360_REQUESTS_PER_HOUR": str(LIMIT)}
    with instance(db, tmp_path, **asked) as first, instance(db, tmp_path, **asked) as second:
        programs = [one.client(token) for one in (first, second) for _ in range(2)]
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda number: programs[number % 4].get("/profile"), range(LIMIT + 60)))
        counted = Counter(answer.status_code for answer in answers)
        for program in programs:
            program.close()
    assert counted == {200: LIMIT, 429: 60}
    assert taken() == [LIMIT]


def test_a_flood_is_told_as_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one address may ask of one instance, at the edge of the web."""
    monkeypatch.setattr(settings(), "requests_per_address", 1)

    async def flood() -> list[httpx.Response]:
        transport = httpx.ASGITransport(edge.Edge(api), client=("192.0.2.199", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as program:
            return [await program.get("/api/v1/health") for _ in range(2)]

    _, refused = asyncio.run(flood())
    assert (refused.status_code, refused.headers["content-type"]) == (429, "application/problem+json")
    assert (refused.json()["instance"], int(refused.headers["retry-after"]) > 0) == ("/api/v1/health", True)
    assert refused.json()["request_id"] == refused.headers["x-request-id"]
