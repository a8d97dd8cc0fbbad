"""The mirror follows what the database notes of changes, whoever writes, however late, and whichever server it is."""

import os
import signal
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import insert, select, text

from models import database, migrations, postgres_tools
from models.contacts import columnar, feed, mirror, own_mirror
from models.contacts.own_mirror import Phase
from models.database import libpq_url, reading, writing
from models.permissions import OPERATOR
from tests.mirrors import add, answers, count, running
from tests.replicas import followed_server
from tests.waiting import until


@pytest.mark.parametrize(
    "change",
    ["TRUNCATE contacts CASCADE", "DELETE FROM contacts", "UPDATE contacts SET city = 'Rome'"],
)
def test_however_much_is_changed_at_once_no_answer_is_late(
    db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Where that is more than somebody waits for, the database answers, until the mirror has come after it."""
    monkeypatch.setattr(mirror, "AT_ONCE", 10)
    monkeypatch.setattr(mirror, "EVERY", 3600)
    add(*["Berlin"] * 50)
    with running(tmp_path) as made:
        assert count("city=Berlin") == 50
        with psycopg.connect(libpq_url(db), autocommit=True) as other:
            other.execute(change.encode())
            there = [other.execute(f"SELECT count(*) FROM contacts WHERE city = '{city}'".encode()).fetchone()
                     for city in ("Berlin", "Rome")]  # fmt: skip
        assert [(count(f"city={city}"),) for city in ("Berlin", "Rome")] == there
        until("it has come after it", answers)
        assert [(count(f"city={city}"),) for city in ("Berlin", "Rome")] == there
        assert made.progress.phase is Phase.FOLLOWING


def test_who_was_away_longer_than_the_feed_is_kept_reads_all_again(
    db: str, tmp_path: Path, loads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    add("Berlin")
    with running(tmp_path):
        assert answers()
    add("Berlin")
    with writing(OPERATOR) as session:
        session.execute(text("UPDATE contact_feed SET written_at = now() - interval '3 days'"))
    feed.expire()
    with reading() as session:
        assert session.scalar(select(feed.FeedEntry.id).limit(1)) is None
    with running(tmp_path):
        until("it follows", lambda: len(loads) == 2 and answers())
        assert count("city=Berlin") == 2


def test_what_another_server_noted_is_not_taken_for_what_is_lost(
    db: str, tmp_path: Path, loads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup has the feed of its server, whose transactions have other numbers than those of where it is restored."""
    of_another_server = 10**12
    add("Berlin")
    with writing(OPERATOR) as session:
        session.execute(insert(feed.FeedBegin).values(written_in=of_another_server))
        session.execute(insert(feed.FeedEntry).values(written_in=of_another_server, ids=None))
    with running(tmp_path):
        add("Berlin")
        assert (count("city=Berlin"), answers()) == (2, True)
    with running(tmp_path):
        add("Berlin")
        assert (count("city=Berlin"), answers()) == (3, True)
    assert len(loads) == 1

    monkeypatch.setattr(feed, "KEPT", timedelta(0))
    feed.expire()
    with reading() as session:
        left = session.scalars(select(feed.FeedEntry.written_in)).all()
        assert (left, session.scalars(select(feed.FeedBegin.written_in)).one() < of_another_server) == ([], True)
    with running(tmp_path):
        assert count("city=Berlin") == 3
    add("Berlin")
    feed.expire()
    with running(tmp_path):
        until("all are read again: what it missed is not noted any more", lambda: len(loads) == 2 and answers())
        assert count("city=Berlin") == 4


def test_what_lasts_and_commits_late_is_not_overtaken(db: str, tmp_path: Path) -> None:
    add("Berlin")
    with running(tmp_path), psycopg.connect(libpq_url(db)) as slow:
        slow.execute("INSERT INTO contacts (city) VALUES ('Late')")
        add("Berlin")
        assert (count("city=Berlin"), count("city=Late"), answers()) == (2, 0, True)
        add("Berlin")
        assert count("city=Berlin") == 3
        slow.commit()
        assert (count("city=Late"), answers()) == (1, True)


def test_the_server_that_takes_another_ones_place_is_read_anew(db: str, tmp_path: Path, loads: list[int]) -> None:
    """Its own standby, or itself as it was before: what the mirror has seen may not be there."""
    add("Berlin")
    with running(tmp_path) as made:
        assert made._file is not None
        with made._lock, made._file.cursor() as cursor:
            cursor.execute("UPDATE state SET began = '2001-01-01', timeline = timeline + 1")
        assert count() == 1
        until("it follows", lambda: len(loads) == 2 and answers())


def test_a_standby_is_another_server_from_its_promotion_on() -> None:
    """Its control file says so only after the next checkpoint, which may last for minutes."""
    with followed_server() as (server, follower):
        server.ensure_database("migrated")
        migrations.upgrade(server.url("migrated"))
        database.bind(server.url("migrated"))
        with reading() as session:
            before = feed.server(session)
        follower.caught_up()
        checkpointer = follower.asked("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")
        os.kill(checkpointer, signal.SIGSTOP)
        try:
            assert follower.asked("SELECT pg_promote()")
            database.bind(follower.url(server.url("migrated")))
            with reading() as session:
                assert feed.server(session) == replace(before, timeline=before.timeline + 1)
        finally:
            os.kill(checkpointer, signal.SIGCONT)
            database.unbind()


def test_a_dump_that_is_restored_over_the_same_database_is_noticed(
    db: str, tmp_path: Path, loads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What moved is counted from an earlier number on, and comes to the later one again."""
    monkeypatch.setattr(mirror, "EVERY", 3600)
    dump = tmp_path / "dump"
    address, environment = postgres_tools.connection(db)
    with psycopg.connect(libpq_url(db)) as connection:
        version = connection.info.server_version // 10_000

    def run(program: str, *given: str) -> None:
        path = postgres_tools.program(program, url=db, server=version)
        subprocess.run([path, "-d", address, *given], env=environment, check=True, capture_output=True)

    add("Berlin")
    run("pg_dump", "-Fc", "-f", str(dump))
    add("Rome")
    with running(tmp_path / "mirror"):
        assert (count("city=Rome"), answers()) == (1, True)
        run("pg_restore", "--clean", "--if-exists", str(dump))
        add("Paris")
        assert [count(f"city={city}") for city in ("Berlin", "Rome", "Paris")] == [1, 0, 1]
        until("it follows", lambda: len(loads) == 2 and answers())
        assert [count(f"city={city}") for city in ("Berlin", "Rome", "Paris")] == [1, 0, 1]


def test_a_later_version_of_the_schema_costs_no_load_where_contacts_stay_the_same(
    db: str, tmp_path: Path, loads: list[int]
) -> None:
    def after(statement: str) -> int:
        with psycopg.connect(libpq_url(db), autocommit=True) as other:
            other.execute(statement.encode())
        with running(tmp_path):
            until("it follows", answers)
            assert count() == 1
        return len(loads)

    add("Berlin")
    assert after("SELECT 1") == 1
    assert after("UPDATE alembic_version SET version_num = '9999'") == 1
    assert after("CREATE INDEX ON contacts (city, created_at)") == 1
    assert after("ALTER TABLE contacts ADD COLUMN mood text DEFAULT 'good'") == 2
    assert after("ALTER TABLE contacts ALTER COLUMN mood TYPE text USING 'bad'") == 3


def test_quiet_days_lose_nothing(db: str, tmp_path: Path, loads: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is lies before what another transaction wrote that had not ended; the feed is kept for two days."""
    add("Berlin")
    with running(tmp_path) as made:

        def place() -> feed.Place:
            assert made._file is not None
            with made._file.cursor() as cursor:
                return columnar.state(cursor).place

        with psycopg.connect(libpq_url(db)) as slow:
            slow.execute("SELECT pg_current_xact_id()")
            add("Berlin")
            assert (count(), answers()) == (2, True)
        before = place()
        monkeypatch.setattr(mirror, "NOTED", 0.0)
        until("it has noted where it is", lambda: place() != before)
        with writing(OPERATOR) as session:
            session.execute(text("UPDATE contact_feed SET written_at = now() - interval '3 days'"))
        feed.expire()
        add("Berlin")
        until("it follows", answers)
        assert count() == 3
    assert len(loads) == 1


def test_a_contact_keeps_its_id(db: str) -> None:
    add("Berlin")
    with psycopg.connect(libpq_url(db)) as other, pytest.raises(psycopg.Error, match="a contact keeps its id"):
        other.execute("UPDATE contacts SET id = id + 1000000")


def test_moments_that_never_are_are_mirrored(db: str, tmp_path: Path) -> None:
    with psycopg.connect(libpq_url(db), autocommit=True) as other:
        other.execute("INSERT INTO contacts (city, created_at) VALUES ('A', 'infinity'), ('B', '-infinity')")
    add("C")
    with running(tmp_path), own_mirror.viewing() as view:
        assert view is not None
        rows = view.cursor.execute("SELECT created_at::VARCHAR FROM contacts ORDER BY created_at").fetchall()
        assert [rows[0], rows[2]] == [("-infinity",), ("infinity",)]


def test_the_feed_is_looked_through_from_its_begin(db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not all of it, each minute."""
    monkeypatch.setattr(feed, "AT_ONCE", 2)
    for city in ("Berlin", "Paris", "Rome"):
        add(city)
    with writing(OPERATOR) as session:
        session.execute(text("UPDATE contact_feed SET written_at = now() - interval '3 days'"))
    for left in (1, 0):
        feed.expire()
        with reading() as session:
            assert len(session.scalars(select(feed.FeedEntry.id)).all()) == left
