"""Browsing on a replica: it answers what the database would, and where it cannot, the database does."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from deploy.embedded_postgres import Server
from models import database, filters, kept, migrations, replica
from models.contacts import difference, records, search
from models.contacts.difference import Asked, Way
from models.database import libpq_url, writing
from models.errors import NotAllowed, TooSlow
from models.filters import Filters
from models.permissions import OPERATOR, Actor, Role
from models.replica import Outcome
from models.settings import settings
from tests.replicas import Replica, followed_server, standing_still
from tests.statements import noted
from tests.waiting import until

ALL = Filters()
NARROW = Actor(None, "Nora", Role.ANALYST, columns=frozenset({"first_name", "country"}))
_numbers = count(1)


@pytest.fixture(scope="module")
def followed() -> Iterator[tuple[Server, Replica]]:
    with followed_server() as both:
        both[0].ensure_database("migrated")
        migrations.upgrade(both[0].url("migrated"))
        yield both


@pytest.fixture
def there(followed: tuple[Server, Replica]) -> Iterator[Replica]:
    """A fresh database with three contacts, bound with its replica, which has them, too."""
    server, follower = followed
    name = f"test_{next(_numbers)}"
    with psycopg.connect(server.url("postgres", ""), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE migrated')
    replica.forget()
    kept.drop()
    database.bind(server.url(name), patience=20, replica=follower.url(server.url(name)))
    for given in ("Ann", "Bob", "Cyd"):
        records.create({"first_name": given, "country": "Norway"}, by=OPERATOR)
    follower.caught_up()
    yield follower
    database.unbind()
    with psycopg.connect(server.url("postgres", ""), autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def outcomes() -> dict[str, int]:
    health = replica.health()
    assert health is not None
    return {one.value: number for one, number in health.outcomes.items() if number}


def names() -> list[str]:
    return [row["first_name"] for row in search.page(ALL, columns=["first_name"], by=OPERATOR).rows]


def here(statement: str) -> None:
    with database.engine().begin() as connection:
        connection.execute(text(statement))


def scans(url: str) -> int:
    """How often contacts were looked at there."""
    with psycopg.connect(libpq_url(url), autocommit=True) as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
        row = connection.execute(
            "SELECT seq_scan + coalesce(idx_scan, 0) FROM pg_stat_user_tables WHERE relname = 'contacts'"
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_lists_counts_and_charts_are_read_there(there: Replica) -> None:
    assert database.Database.url is not None
    database.Database.engine.dispose()  # type: ignore[union-attr]  # what it has looked at so far is told then
    before = scans(database.Database.url)
    looked = scans(there.url(database.Database.url))
    narrowed = filters.parse_query("country=Norway", by=OPERATOR)
    first = search.page(ALL, by=OPERATOR)
    assert (first.total, len(first.rows)) == (3, 3)
    assert search.count(narrowed, by=OPERATOR) == 3
    assert search.counts([narrowed], by=OPERATOR) == [3]
    assert search.known_counts([narrowed], by=OPERATOR) == [3]
    assert search.count_by(ALL, "country", by=OPERATOR) == [("Norway", 3)]
    assert search.count_by_each(ALL, ["country"], by=OPERATOR) == {"country": [("Norway", 3)]}
    assert search.statistics_of(ALL, by=OPERATOR).total == 3
    assert search.neighbours(ALL, contact_id=first.rows[1]["id"], by=OPERATOR).place == 2
    assert difference.numbers(Asked(ALL, None, None), by=OPERATOR).total == 0
    assert difference.page(Asked(ALL, None, None), Way.CAME, by=OPERATOR) == []
    assert len(search.following(ALL, sort="last_name", by=OPERATOR).rows) == 3
    assert outcomes() == {"answered": 11}
    for one in (database.Database.engine, database.Database.replica):
        one.dispose()  # type: ignore[union-attr]
    assert scans(there.url(database.Database.url)) > looked
    assert scans(database.Database.url) == before


def test_what_somebody_wrote_is_seen_though_the_replica_has_not_come_so_far(there: Replica) -> None:
    there.asked("SELECT pg_wal_replay_pause()")
    try:
        until("it pauses", lambda: there.asked("SELECT pg_get_wal_replay_pause_state() = 'paused'"))
        assert names() == ["Cyd", "Bob", "Ann"]
        assert outcomes() == {"answered": 1}
        records.create({"first_name": "Dan"}, by=OPERATOR)
        assert names() == ["Dan", "Cyd", "Bob", "Ann"]
        assert search.count(ALL, by=OPERATOR) == 4
        assert outcomes() == {"answered": 1, "behind": 2}
    finally:
        there.asked("SELECT pg_wal_replay_resume()")
    there.caught_up()
    assert names() == ["Dan", "Cyd", "Bob", "Ann"]
    assert outcomes() == {"answered": 2, "behind": 2}


def test_what_is_written_beside_contacts_does_not_keep_it_from_answering(there: Replica) -> None:
    assert names() == ["Cyd", "Bob", "Ann"]
    there.asked("SELECT pg_wal_replay_pause()")
    try:
        until("it pauses", lambda: there.asked("SELECT pg_get_wal_replay_pause_state() = 'paused'"))
        here("CREATE TABLE staged AS SELECT generate_series(1, 1000) AS n")
        assert names() == ["Cyd", "Bob", "Ann"]
        assert outcomes() == {"answered": 2}
    finally:
        there.asked("SELECT pg_wal_replay_resume()")


def test_one_that_is_too_far_behind_is_not_asked(there: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    assert names() == ["Cyd", "Bob", "Ann"]
    there.asked("SELECT pg_wal_replay_pause()")
    try:
        until("it pauses", lambda: there.asked("SELECT pg_get_wal_replay_pause_state() = 'paused'"))
        here("CREATE TABLE staged AS SELECT 1 AS n")
        monkeypatch.setattr(settings(), "replica_lag_seconds", 0)
        assert names() == ["Cyd", "Bob", "Ann"]
        health = replica.health()
        assert health is not None
        assert health.lag
        assert outcomes() == {"answered": 1, "behind": 1}
    finally:
        there.asked("SELECT pg_wal_replay_resume()")


def test_an_open_change_is_seen_by_nobody_and_by_all_once_it_is_committed(there: Replica) -> None:
    with writing(OPERATOR) as session:
        session.execute(text("UPDATE contacts SET country = 'Chile'"))
        assert search.count_by(ALL, "country", by=OPERATOR) == [("Norway", 3)]
    assert search.count_by(ALL, "country", by=OPERATOR) == [("Chile", 3)]
    there.caught_up()
    assert search.count_by(ALL, "country", by=OPERATOR) == [("Chile", 3)]
    assert outcomes()["answered"] >= 2


def test_nobody_reads_an_older_number_than_one_that_was_written_before_the_question(there: Replica) -> None:
    """Many write and count at once: what was committed before a count began is in it."""
    written, lock = 3, threading.Lock()

    def work(_: int) -> None:
        nonlocal written
        for _ in range(15):
            records.create({"first_name": "One more"}, by=OPERATOR)
            with lock:
                written += 1
                least = written
            assert search.count(ALL, by=OPERATOR) >= least
            assert search.page(ALL, size=1, by=OPERATOR).total >= least

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    there.caught_up()
    assert search.count(ALL, by=OPERATOR) == 63
    assert outcomes()["answered"] >= 1


def test_a_question_that_the_replica_ends_is_asked_of_the_database(
    there: Replica, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What a question still sees is cleared away here, and the log says so: the replica ends the question."""
    caplog.set_level("INFO", logger=replica.__name__)
    reading_statistics = search.statistics.read
    ends = iter([True])

    def slow(session: Any, *given: Any, **named: Any) -> Any:
        found = reading_statistics(session, *given, **named)
        if next(ends, False):
            here("DELETE FROM contacts WHERE first_name = 'Bob'")
            with database.engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("VACUUM contacts"))
            session.execute(text("SELECT count(*) FROM contacts, pg_sleep(30)"))
        return found

    monkeypatch.setattr(search.statistics, "read", slow)
    assert search.statistics_of(ALL, by=OPERATOR).total == 2
    assert outcomes() == {"failed": 1}
    assert "SerializationFailure" in caplog.text
    there.caught_up()
    assert names() == ["Cyd", "Ann"]
    assert outcomes() == {"failed": 1, "answered": 1}


def test_a_question_that_takes_too_long_there_is_not_asked_twice(
    there: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_of = []

    def endless(session: Any, *_: Any, **__: Any) -> Any:
        asked_of.append(session.scalar(text("SELECT pg_is_in_recovery()")))
        session.execute(text("SET LOCAL statement_timeout = '100ms'"))
        session.execute(text("SELECT pg_sleep(30)"))

    monkeypatch.setattr(search.statistics, "read", endless)
    with pytest.raises(TooSlow):
        search.statistics_of(ALL, by=OPERATOR)
    assert asked_of == [True]


def test_one_that_dies_in_use_costs_nobody_an_answer(there: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica, "AWAY", 0.2)
    reading_statistics = search.statistics.read
    deaths = iter([True])

    def dying(session: Any, *given: Any, **named: Any) -> Any:
        if next(deaths, False):
            there.kill()
        return reading_statistics(session, *given, **named)

    monkeypatch.setattr(search.statistics, "read", dying)
    assert search.statistics_of(ALL, by=OPERATOR).total == 3
    assert names() == ["Cyd", "Bob", "Ann"]
    told = replica.health()
    assert told is not None
    assert told.lag is None
    assert (told.outcomes[Outcome.FAILED], told.outcomes[Outcome.AWAY]) == (1, 1)
    there.start()
    there.caught_up()

    def answers() -> bool:
        assert names() == ["Cyd", "Bob", "Ann"]
        return outcomes().get("answered", 0) > 0

    until("it answers again", answers)


def test_one_that_stands_still_keeps_nobody_waiting(there: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither who had a connection of it, nor who wants one, nor who is told of its health."""
    monkeypatch.setattr(replica, "AWAY", 0.2)
    assert names() == ["Cyd", "Bob", "Ann"]
    with standing_still(there.pgdata):
        assert names() == ["Cyd", "Bob", "Ann"]
        assert names() == ["Cyd", "Bob", "Ann"]
        told = replica.health()
        assert told is not None
        assert told.lag is None
        assert (told.outcomes[Outcome.ANSWERED], told.outcomes[Outcome.FAILED]) == (1, 1)
        until("it is away", lambda: names() and replica.health().outcomes[Outcome.AWAY] >= 2)  # type: ignore[union-attr]
    there.caught_up()
    until("it is back", lambda: names() and replica.health().outcomes[Outcome.ANSWERED] > 1)  # type: ignore[union-attr]


def test_a_question_in_which_it_stands_still_is_asked_of_the_database(
    there: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database.Database, "patience", 1)
    reading_statistics = search.statistics.read
    asked_of = []

    with ExitStack() as standing:

        def halting(session: Any, *given: Any, **named: Any) -> Any:
            asked_of.append(session.scalar(text("SELECT pg_is_in_recovery()")))
            if asked_of == [True]:
                standing.enter_context(standing_still(there.pgdata))
            return reading_statistics(session, *given, **named)

        monkeypatch.setattr(search.statistics, "read", halting)
        assert search.statistics_of(ALL, by=OPERATOR).total == 3
        assert asked_of == [True, False]
        assert outcomes() == {"failed": 1}


def test_hidden_columns_are_hidden_there_too(there: Replica) -> None:
    records.create({"first_name": "Eve", "email": "eve@secret.example"}, by=OPERATOR)
    there.caught_up()
    found = search.page(ALL, by=NARROW)
    assert {name for row in found.rows for name in row} == {"id", "first_name", "country"}
    with pytest.raises(NotAllowed):
        search.page(ALL, columns=["email"], by=NARROW)
    with pytest.raises(NotAllowed):
        search.count_by(ALL, "email", by=NARROW)
    assert search.count(filters.parse_query("q=eve@secret.example", by=NARROW), by=NARROW) == 0
    assert search.count(filters.parse_query("q=eve@secret.example", by=OPERATOR), by=OPERATOR) == 1
    assert outcomes() == {"answered": 3}


@pytest.mark.parametrize("spoilt", ["schema", "another database", "promoted"])
def test_one_that_does_not_follow_this_database_is_not_asked(
    there: Replica, spoilt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert database.Database.url is not None
    if spoilt == "schema":  # a new version of the program brings it here, and it has not arrived there
        there.asked("SELECT pg_wal_replay_pause()")
        until("it pauses", lambda: there.asked("SELECT pg_get_wal_replay_pause_state() = 'paused'"))
        here("UPDATE alembic_version SET version_num = '9999'")
    elif spoilt == "another database":
        database.bind(database.Database.url, replica=there.url(there.of.url("migrated")))
    else:  # the database itself is no replica of anything, as one is not that was promoted
        database.bind(database.Database.url, replica=database.Database.url)
    try:
        assert names() == ["Cyd", "Bob", "Ann"]
        assert outcomes() == {"another": 1}
    finally:
        there.asked("SELECT CASE WHEN pg_is_wal_replay_paused() THEN pg_wal_replay_resume() END")


def test_without_a_decorated_question_nothing_goes_there(there: Replica) -> None:
    """What is exact by being asked in one place: records, sessions, credits, and whatever writes."""
    with noted([]) as sent:
        assert records.get(1, by=OPERATOR).values["first_name"] == "Ann"
        with database.reading() as session:
            assert session.scalar(text("SELECT pg_is_in_recovery()")) is False
    assert not any("pg_last_wal_replay_lsn" in one for one in sent)
    assert outcomes() == {}
