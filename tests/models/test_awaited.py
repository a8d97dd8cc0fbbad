import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest

from models import awaited, database, filters
from models.contacts import records, search
from models.errors import Gone, InvalidInput, NotAllowed, NotFound, TooSlow
from models.filters import Filters
from models.permissions import OPERATOR, Actor, Role

PID = "SELECT pg_backend_pid() AS pid"
SLEEP = "SELECT pg_sleep(%(seconds)s)::text AS slept"
SEES = frozenset({"first_name", "last_name", "country"})


def within(asks: Callable[..., Awaitable[Any]], *given: Any, **named: Any) -> Any:
    """What it comes to while a server's requests may be answered without a thread."""

    async def run() -> Any:
        async with awaited.opened():
            return await asks(*given, **named)

    return asyncio.run(run())


async def in_time(statement: str, given: dict[str, Any]) -> list[Any]:
    """The pool connects meanwhile, also after its connections broke."""
    for _ in range(100):
        if (found := await awaited.asked(statement, given)) is not None:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError("It was not answered within five seconds.")


def test_a_question_is_answered_without_a_thread_where_a_server_runs(db: str) -> None:
    [row] = within(in_time, "SELECT 7 AS number, %(word)s::text AS word", {"word": "50 %"})
    assert (row.number, row.word) == (7, "50 %")
    assert asyncio.run(awaited.asked(PID, {})) is None


def test_another_loop_of_the_process_asks_in_a_thread(db: str) -> None:
    async def ask() -> Any:
        return await asyncio.to_thread(asyncio.run, awaited.asked(PID, {}))

    assert within(ask) is None


def test_a_database_that_hung_up_is_asked_in_a_thread_and_soon_without_one(db: str) -> None:
    async def ask() -> Any:
        [before] = await in_time(PID, {})
        async with await psycopg.AsyncConnection.connect(database.libpq_url(db), autocommit=True) as other:
            await other.execute("SELECT pg_terminate_backend(%s, 10000)", [before.pid])
        first = await awaited.asked(PID, {})
        [after] = await in_time(PID, {})
        return before.pid, first, after.pid

    before, first, after = within(ask)
    assert first is None or first[0].pid != before
    assert after != before


def test_a_web_whose_database_is_away_starts(db: str) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        database.bind(f"postgresql://nobody@127.0.0.1:{nobody.getsockname()[1]}/nowhere")
        assert within(awaited.asked, PID, {}) is None


def test_what_takes_its_time_leaves_connections_to_who_asks_who_they_are(db: str) -> None:
    async def ask() -> Any:
        await in_time(PID, {})
        slow = [asyncio.create_task(awaited.asked(SLEEP, {"seconds": 1.5}, is_long=True)) for _ in range(12)]
        await asyncio.sleep(0)  # each of them has asked
        one_more, short = await awaited.asked(PID, {}, is_long=True), await in_time(PID, {})
        return short, one_more, await asyncio.gather(*slow)

    short, one_more, slow = within(ask)
    assert short[0].pid
    assert one_more is None
    assert sum(one is None for one in slow) >= 12 - awaited.MOST_LONG


def test_with_patience_a_slow_question_is_stopped(db: str) -> None:
    database.bind(db, patience=1)
    with pytest.raises(TooSlow, match="longer than 1 seconds"):
        within(in_time, SLEEP, {"seconds": 3})


def test_options_of_the_databases_address_hold_here_as_well(db: str) -> None:
    database.bind(f"{db}?options=-c%20search_path%3Dpg_catalog", patience=7)
    shown = "SELECT current_setting('search_path') AS path, current_setting('statement_timeout') AS patience"
    [row] = within(in_time, shown, {})
    assert (row.path, row.patience) == ("pg_catalog", "7s")


def test_contacts_are_the_same_on_both_roads(db: str) -> None:
    made = [
        records.create({"first_name": f"Ann {number}", "country": "Norway", "title": "CEO"}, by=OPERATOR)
        for number in range(7)
    ]
    narrow = Actor(None, "Nora", Role.ANALYST, columns=SEES)
    norway = filters.parse_query("country=Norway", by=OPERATOR)
    for by in (OPERATOR, narrow):
        for place in (made[0], made[-1]):
            assert within(records.get_soon, place, by=by) == records.get(place, by=by)
        for sort, size in (("-id", 3), ("id", 7), ("last_name", 3)):
            on_both(norway, by=by, sort=sort, size=size)
    assert "title" not in within(records.get_soon, made[0], by=narrow).values


def on_both(asked: Filters, *, by: Actor, **wanted: Any) -> None:
    """Every page, one after the other."""
    after = None
    while True:
        page = within(search.following_soon, asked, after=after, **wanted, by=by)
        assert page == search.following(asked, after=after, **wanted, by=by)
        if page.after is None:
            return
        after = page.after


def test_what_is_not_there_is_told_as_in_a_thread(db: str) -> None:
    number = records.create({"first_name": "Ann"}, by=OPERATOR)
    records.delete(number, version=0, by=OPERATOR)
    with pytest.raises(Gone, match=f"Contact {number} was deleted"):
        within(records.get_soon, number, by=OPERATOR)
    with pytest.raises(NotFound, match="There is no contact 99"):
        within(records.get_soon, 99, by=OPERATOR)
    with pytest.raises(InvalidInput, match="A page holds 1 to"):
        within(search.following_soon, Filters(), size=0, by=OPERATOR)
    narrow = Actor(None, "Nora", Role.ANALYST, columns=SEES)
    with pytest.raises(NotAllowed, match="Title"):
        within(search.following_soon, Filters(), columns=["title"], by=narrow)
