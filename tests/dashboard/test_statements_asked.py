"""How many statements a screen or a route sends does not grow with the rows that there are."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from dashboard import places
from dashboard.api import api, limits
from models import exports, flow_runs, industries, kept, timings, tokens, users, view_changes
from models.database import engine
from models.filters import Filters, parse
from models.flow_runs import RunState
from models.permissions import OPERATOR, Role
from tests.dashboard.conftest import Site
from tests.people import person

Screen = Callable[..., AppTest]
ADDRESSES: dict[str, dict[str, str]] = {"contact": {"id": "1"}, "difference": {"from": "2026-01-01"}}
ROUTES_MEASURED = 30  # at least: those without a number in their path that answer without being told more
MORE = 5  # of everything
AS_TABLES = """
    INSERT INTO contacts (first_name, last_name, email, country, seniority)
        SELECT 'Eva', 'Number ' || n, :name || n || '@more.example', 'Germany', 'VP' FROM generate_series(1, 5) AS n;
    INSERT INTO imports (state, file_name, file_path, match, keep, overrides, created_by)
        SELECT 'committed', :name || n, '', 'auto', 'theirs', '{}', :by FROM generate_series(1, 5) AS n;
"""


def add_more(name: str) -> None:
    by = users.find("admin@example.com", by=OPERATOR).actor(session_id=None)
    for number in range(MORE):
        each = f"{name} {number}"
        industries.create(f"Industry {each}", by=by)
        view_changes.save(f"View {each}", filters=parse([f"title={each}"], by=by), by=by)
        person(email=f"{name}.{number}@example.com", name=f"Person {each}", role=Role.ANALYST)
        tokens.create_for("admin@example.com", f"token {each}", by=OPERATOR)
        exports.request(filters=Filters(), columns=["email"], format="csv", by=by)
        flow_runs.end(flow_runs.begin("validate-contacts", subject=each), RunState.DONE)
    with engine().begin() as connection:
        for statement in AS_TABLES.split(";\n")[:2]:
            connection.execute(text(statement), {"name": name, **({"by": by.id} if ":by" in statement else {})})


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The operation -> how many statements it sent the last time."""
    found: dict[str, int] = {}

    def note(kind: str, operation: str, seconds: float, tally: Any, **_: object) -> None:
        found[f"{kind} {operation}"] = tally.statements

    monkeypatch.setattr(timings, "note", note)
    return found


def grown(before: dict[str, int], after: dict[str, int]) -> dict[str, tuple[int, int]]:
    """Those that send one more for each row. One more in all is a number that was kept the other time."""
    return {name: (number, after[name]) for name, number in before.items() if after.get(name, 0) >= number + MORE}


def test_no_screen_asks_more_where_there_is_more(screen: Screen, site: Site, noted: dict[str, int]) -> None:
    def look() -> dict[str, int]:
        kept.drop()
        for name in places.PLACES:
            shown = screen(Role.ADMIN, at=name, **ADDRESSES.get(name, {}))
            assert not shown.exception, name
        return dict(noted)

    add_more("first")
    before = look()
    assert {name.partition(" ")[2] for name in before if name.startswith("screen ")} == set(places.PLACES)
    add_more("second")
    assert grown(before, look()) == {}


def test_no_route_asks_more_where_there_is_more(site: Site, noted: dict[str, int]) -> None:
    _, token = tokens.create_for("admin@example.com", "counting", by=OPERATOR)
    paths = [path for path, ways in api.openapi()["paths"].items() if "get" in ways and "{" not in path]

    async def look() -> dict[str, int]:
        answered = {}
        transport = httpx.ASGITransport(api)
        headers = {"authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://here", headers=headers) as client:
            for path in paths:
                for _ in range(2):  # the second time what is kept is there
                    noted.clear()
                    answer = await client.get(path)
                if answer.status_code == httpx.codes.OK:
                    answered[path] = max(noted.values())
        return answered

    limits.forget()
    add_more("third")
    before = asyncio.run(look())
    assert len(before) >= ROUTES_MEASURED
    add_more("fourth")
    assert grown(before, asyncio.run(look())) == {}


def test_one_statement_for_each_row_would_be_seen(noted: dict[str, int]) -> None:
    assert grown({"screen a": 3, "screen b": 4}, {"screen a": 3, "screen b": 9}) == {"screen b": (4, 9)}
