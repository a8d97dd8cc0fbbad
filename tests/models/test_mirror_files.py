"""The mirror's file, while processes and the database come and go: it goes on, or is made anew, and is never wrong."""

import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import duckdb
import psycopg
import pyarrow as pa
import pytest
from adbc_driver_manager import Error as AdbcError
from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from models import bounded_connection, database, disk_space, filters, migrations, postgres_tools
from models.contacts import columnar, feed, mirror, mirror_files, mirror_source, own_mirror, search
from models.contacts.columnar import Columnar
from models.contacts.mirror import Mirror
from models.contacts.mirrored import Mirrored
from models.contacts.own_mirror import Phase, Progress
from models.contacts.table import Contact
from models.database import Database, libpq_url, reading, writing
from models.errors import TooSlow
from models.permissions import OPERATOR
from models.settings import settings
from tests.mirrors import answers, count, running
from tests.replicas import followed_server
from tests.waiting import until

FILE = "*.duckdb"
ENDLESS = "SELECT sum(a.range * b.range) FROM range(10000000) AS a, range(10000000) AS b"


def add(*cities: str) -> None:
    with writing(OPERATOR) as session:
        session.execute(insert(Contact), [{"last_name": f"Of {city}", "city": city} for city in cities])


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One for each time that all contacts are read."""
    counted: list[int] = []
    load = Mirror._load

    def loading(*given: object) -> None:
        counted.append(1)
        load(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(Mirror, "_load", loading)
    return counted


def test_it_goes_on_with_what_the_process_before_left(db: str, tmp_path: Path, loads: list[int]) -> None:
    add("Berlin", "Paris")
    with running(tmp_path):
        assert (count("city=Berlin"), answers()) == (1, True)
    add("Berlin")
    with writing(OPERATOR) as session:
        session.execute(text("DELETE FROM contacts WHERE city = 'Paris'"))
    with running(tmp_path):
        assert (count("city=Berlin"), count(), answers()) == (2, 2, True)
    assert len(loads) == 1


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:5000])


def written_over(file: Path) -> None:
    file.write_bytes(b"something else " * 1000)


def of_another_version(file: Path) -> None:
    with duckdb.connect(str(file)) as connection:
        connection.execute("UPDATE state SET format = '0'")


def of_another_duckdb(file: Path) -> None:
    with duckdb.connect(str(file)) as connection:
        connection.execute("UPDATE state SET format = replace(format, ?, '1.4.2')", [duckdb.__version__])


def of_another_server(file: Path) -> None:
    with duckdb.connect(str(file)) as connection:
        connection.execute("UPDATE state SET cluster = '7'")


def ahead_of_the_server(file: Path) -> None:
    with duckdb.connect(str(file)) as connection:
        connection.execute("UPDATE state SET log = 'FFFF/0'")


def without_a_contact(file: Path) -> None:
    with duckdb.connect(str(file)) as connection:
        connection.execute("DELETE FROM contacts WHERE id = (SELECT min(id) FROM contacts)")


def half_filled(file: Path) -> None:
    with duckdb.connect(str(file)) as connection:
        connection.execute("DROP TABLE state")


@pytest.mark.parametrize(
    "spoil",
    [
        cut_short,
        written_over,
        of_another_version,
        of_another_duckdb,
        of_another_server,
        ahead_of_the_server,
        without_a_contact,
        half_filled,
    ],
)
def test_what_is_not_to_be_used_is_made_anew(
    db: str, tmp_path: Path, loads: list[int], spoil: Callable[[Path], None]
) -> None:
    add("Berlin", "Paris")
    with running(tmp_path):
        assert answers()
    [file] = tmp_path.glob(FILE)
    spoil(file)
    with running(tmp_path):
        until("it follows", lambda: len(loads) == 2 and answers())
        assert (count("city=Berlin"), count()) == (1, 2)
    assert len(list(tmp_path.glob(FILE))) == 1, "the other one is gone"


def test_another_database_has_a_mirror_of_its_own(db: str, tmp_path: Path, loads: list[int]) -> None:
    add("Berlin")
    with running(tmp_path):
        assert answers()
    with reading() as session:
        here = feed.server(session)
        assert here != feed.Server(here.cluster, here.timeline, here.database + 1, here.tables)
    [file] = tmp_path.glob(FILE)
    with duckdb.connect(str(file)) as connection:
        connection.execute("UPDATE state SET of_database = of_database + 1")
    with running(tmp_path):
        assert count() == 1
    assert len(loads) == 2


def test_days_are_those_of_utc_wherever_it_runs(tmp_path: Path) -> None:
    code = """import sys
from pathlib import Path
from models.contacts import columnar
file = columnar.opened(Path(sys.argv[1]), threads=1, memory="200MB")
print(file.cursor().execute("SELECT make_timestamptz(1767279600000000)::DATE").fetchone()[0])"""
    command = [sys.executable, "-c", code, str(tmp_path / "a.duckdb")]
    environment = {**os.environ, "TZ": "Asia/Tokyo", "PYTHONPATH": str(Path(__file__).parents[2])}
    assert subprocess.check_output(command, env=environment, text=True) == "2026-01-01\n"


def test_two_processes_have_a_file_each(db: str, tmp_path: Path, loads: list[int]) -> None:
    add("Berlin")
    with running(tmp_path):
        assert answers()
    [held] = tmp_path.glob(FILE)
    holding = "import duckdb, sys; file = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", holding, str(held)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with running(tmp_path):
            assert (count("city=Berlin"), answers()) == (1, True)
        assert held.exists()
        assert len(list(tmp_path.glob(FILE))) == 2
        other.communicate()
    assert len(loads) == 2


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


def test_what_is_read_beside_ends_with_the_patience_of_who_asks(db: str) -> None:
    database.bind(db, patience=1)
    with reading() as session, pytest.raises(OSError, match="statement timeout"):
        list(mirror_source._beside(session, "SELECT pg_sleep(3600)::text", pa.schema([pa.field("a", pa.string())])))


def test_who_does_not_answer_is_not_waited_for(db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(bounded_connection.NOTICED, "connect_timeout", 2)
    with reading() as session, socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(Database, "url", f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/nowhere")
        with pytest.raises(AdbcError, match="timeout expired"):
            list(mirror_source._beside(session, "SELECT 1", pa.schema([])))


def test_nobody_waits_for_who_brings_in_much(db: str, tmp_path: Path) -> None:
    add("Berlin")
    with running(tmp_path) as made:
        with made._lock:
            add("Berlin")
            assert (count("city=Berlin"), answers()) == (2, False)
        until("it follows", answers)


def failing(error: type[Exception] | None) -> Callable[[Mirrored], int]:
    def count(self: Mirrored) -> int:
        if error is not None:
            raise error("the disk is gone")
        return int(self.view.cursor.execute("SELECT no_such_column FROM contacts").fetchall()[0][0])

    return count


@pytest.mark.parametrize(("error", "read"), [(None, 1), (duckdb.OutOfMemoryException, 1), (duckdb.IOException, 2)])
def test_what_the_mirror_fails_at_the_database_answers(
    db: str, tmp_path: Path, loads: list[int], monkeypatch: pytest.MonkeyPatch, error: type[Exception] | None, read: int
) -> None:
    """One whose file is broken is made anew."""
    add("Berlin")
    with running(tmp_path):
        monkeypatch.setattr(Mirrored, "count", failing(error))
        assert count("city=Berlin") == 1
        until("it follows", answers)
    assert len(loads) == read


def test_a_file_that_is_damaged_where_few_look_is_made_anew(db: str, tmp_path: Path, loads: list[int]) -> None:
    """It opens, and most of it can be read: only who asks for the rest finds out."""
    with psycopg.connect(libpq_url(db), autocommit=True) as other:
        many = "SELECT format('somebody-%s@nobody.example', n) FROM generate_series(1, 20000) AS n"
        other.execute(f"INSERT INTO contacts (email) {many}".encode())
    with running(tmp_path):
        assert count("email.contains=body-7@") == 1
    [file] = tmp_path.glob(FILE)
    stored = bytearray(file.read_bytes())
    blocks = range(3 * 4096, len(stored), 262_144)  # behind three headers
    fullest = max(blocks, key=lambda block: stored.count(b"@nobody.example", block, block + 262_144))
    stored[fullest + 100_000] ^= 1
    file.write_bytes(stored)
    with running(tmp_path):
        assert (len(loads), count(), answers()) == (1, 20000, True)
        assert count("email.contains=body-7@") == 1
        assert len(search.count_by(filters.parse_query("", by=OPERATOR), "email", by=OPERATOR)) > 1
        until("it is read anew", lambda: len(loads) == 2 and answers())
        assert (count("email.contains=body-7@"), answers()) == (1, True)


@contextmanager
def disk_full() -> Iterator[None]:
    """What this process writes behind the first million bytes of a file is refused."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_no_fault_of_the_file(
    db: str, tmp_path: Path, loads: list[int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def large(self: Mirrored) -> int:
        numbers = "SELECT DISTINCT 'more than fits into the memory, number ' || hash(range) AS n FROM range(3_000_000)"
        return int(self.view.cursor.execute(f"SELECT count(*) FROM ({numbers})").fetchall()[0][0])

    add("Berlin")
    with mirror.held(tmp_path, threads=1, memory="50MB") as made:
        assert made.wait(60)
        with disk_full(), monkeypatch.context() as asked:
            asked.setattr(Mirrored, "count", large)
            assert count("city=Berlin") == 1
        assert "IOException" in caplog.text
        until("it follows", answers)
    assert len(loads) == 1


def test_what_cannot_be_taken_in_is_answered_by_the_database(
    db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(*given: object) -> None:
        raise ConnectionError("too many connections")

    add("Berlin")
    with running(tmp_path):
        monkeypatch.setattr(mirror_source, "those", refusing)
        add("Berlin")
        assert (count("city=Berlin"), answers()) == (2, False)
        monkeypatch.undo()
        until("it follows", answers)


def test_what_takes_longer_than_people_wait_is_stopped(
    db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(self: Mirrored) -> int:
        time.sleep(1.5)  # it is over when nothing runs that could be stopped
        rows = self.view.cursor.execute(ENDLESS)
        return int(rows.fetchall()[0][0])

    add("Berlin")
    database.bind(db, patience=1)
    with running(tmp_path):
        monkeypatch.setattr(Mirrored, "count", endless)
        with pytest.raises(TooSlow):
            count("city=Berlin")
        monkeypatch.undo()
        assert (count("city=Berlin"), answers()) == (1, True)


def test_a_contact_keeps_its_id(db: str) -> None:
    add("Berlin")
    with psycopg.connect(libpq_url(db)) as other, pytest.raises(psycopg.Error, match="a contact keeps its id"):
        other.execute("UPDATE contacts SET id = id + 1000000")


def test_a_database_that_is_away_is_waited_for(db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "AGAIN", 0.1)
    database.bind("postgresql://nobody@127.0.0.1:1/nowhere")
    with mirror.held(tmp_path, threads=1, memory="200MB") as made:
        assert not made.wait(0.5)
        database.bind(db)
        assert made.wait(60)


def test_a_database_that_was_away_for_days_is_waited_for(
    db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "LONGEST", 0.1)
    database.bind("postgresql://nobody@127.0.0.1:1/nowhere")
    made = Mirror(tmp_path, threads=1, memory="200MB")
    made._failed = 1500
    made.start()
    try:
        until("it fails", lambda: bool(made.progress.fault))
        database.bind(db)
        assert made.wait(60)
    finally:
        made.stop()


def test_what_hinders_it_is_told(db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "AGAIN", 0.1)
    (tmp_path / "mirror").write_text("no folder")
    with mirror.held(tmp_path / "mirror", threads=1, memory="200MB") as held:
        until("it fails", lambda: bool(held.progress.fault))
        assert (held.progress.phase, held.progress.fault) == (Phase.WAITING, "FileExistsError, of which the log tells.")
        (tmp_path / "mirror").unlink()
        assert held.wait(60)
        assert held.progress == Progress(Phase.FOLLOWING)


def bytes_of(folder: Path) -> bytes:
    return b"".join(one.read_bytes() for one in sorted(folder.rglob("*")) if one.is_file())


WORDS = (b"Zyxburg", b"erased@nobody.example", b"Gone-For-Good", b"Quuxware")


def test_what_was_deleted_or_replaced_leaves_the_file(
    db: str, tmp_path: Path, loads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file keeps in its free blocks and its dictionaries what nobody has any more: it is written anew in time."""
    add(*["Berlin"] * 30)
    with writing(OPERATOR) as session:
        erased = {"last_name": "Gone-For-Good", "city": "Zyxburg", "email": "erased@nobody.example"}
        stays = {"last_name": "Stays", "city": "Paris", "technologies": ["Quuxware"]}
        session.execute(insert(Contact), [erased])
        session.execute(insert(Contact), [stays])
    with running(tmp_path) as made:
        assert count("city=Zyxburg") == 1
        with writing(OPERATOR) as session:
            session.execute(text("DELETE FROM contacts WHERE city = 'Zyxburg'"))
            session.execute(text("UPDATE contacts SET technologies = '{Other}' WHERE last_name = 'Stays'"))
        assert (count("city=Zyxburg"), answers()) == (0, True)
        first = made.standing()
    assert [word for word in WORDS if word in bytes_of(tmp_path)] == list(WORDS), "so it has to be written anew"
    [old] = tmp_path.glob(FILE)

    with running(tmp_path) as made:
        assert (made._file is not None, list(tmp_path.glob(FILE))) == (True, [old]), "it has a day for that"
        with mirror.own_mirror.looking() as view:
            assert view is not None
            monkeypatch.setattr(mirror, "STALE", 0.0)
            until("it is written anew", lambda: not old.exists())
            assert view.cursor.execute("SELECT count(*) FROM contacts").fetchone() == (31,), "who reads reads on"
        monkeypatch.setattr(mirror, "STALE", 3600.0)
        until("it answers", answers)
        assert (count("city=Berlin"), count("technologies=Other"), count()) == (30, 1, 31)
        assert made.standing().contacts == first.contacts == 31
        add("Neustadt", "Altdorf", "Berlin")  # numbers after those that are gone
        told = {city: count(f"city={city}") for city in ("Berlin", "Paris", "Neustadt", "Altdorf", "Zyxburg")}
        assert (told, answers()) == (
            {"Berlin": 31, "Paris": 1, "Neustadt": 1, "Altdorf": 1, "Zyxburg": 0},
            True,
        )
        assert dict(search.count_by(filters.parse_query("", by=OPERATOR), "city", by=OPERATOR)) == {
            "Berlin": 31, "Paris": 1, "Neustadt": 1, "Altdorf": 1,
        }  # fmt: skip
    assert [word for word in WORDS if word in bytes_of(tmp_path)] == []
    assert len(loads) == 1, "it was copied, and not read again"
    with running(tmp_path):
        assert (count("city=Neustadt"), count(), answers()) == (1, 34, True)


def test_an_end_does_not_wait_for_the_copy(
    db: str, tmp_path: Path, loads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    add("Berlin", "Paris")
    begun = threading.Event()

    def lasting(file: Columnar, connection: duckdb.DuckDBPyConnection, of: str = "") -> None:
        begun.set()
        connection.execute(ENDLESS)

    with running(tmp_path):
        with writing(OPERATOR) as session:
            session.execute(text("DELETE FROM contacts WHERE city = 'Paris'"))
        assert count() == 1
        [old] = tmp_path.glob(FILE)
        monkeypatch.setattr(Columnar, "_declare", lasting)
        monkeypatch.setattr(mirror, "STALE", 0.0)
        assert begun.wait(60)
    monkeypatch.undo()
    assert list(tmp_path.glob(FILE)) == [old]
    with running(tmp_path):
        assert (count("city=Berlin"), answers()) == (1, True)


def test_an_end_does_not_wait_for_what_is_written(
    db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor is it told as a fault; what was not there to its end is not left."""
    add("Berlin")
    begun = threading.Event()

    def lasting(file: Columnar, *given: object) -> None:
        begun.set()
        time.sleep(0.5)  # between two statements, when nobody hears that it is to end
        file._connection.execute(ENDLESS)

    monkeypatch.setattr(Columnar, "_insert", lasting)
    with mirror.held(tmp_path, threads=1, memory="200MB") as made:
        assert begun.wait(60)
    assert (made._thread.is_alive(), list(tmp_path.glob(FILE))) == (False, [])
    assert [one.message for one in caplog.records if one.levelname in ("WARNING", "ERROR")] == []


def test_an_end_does_not_wait_for_what_the_database_is_asked(
    db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()

    def lasting(session: Session, *given: object) -> None:
        begun.set()
        session.execute(text("SELECT pg_sleep(3600)"))

    monkeypatch.setattr(mirror_source, "coded", lasting)
    with mirror.held(tmp_path, threads=1, memory="200MB") as made:
        assert begun.wait(60)
    assert not made._thread.is_alive()


def test_an_end_does_not_wait_for_who_brings_changes_in(db: str, tmp_path: Path, loads: list[int]) -> None:
    add("Berlin")
    with running(tmp_path) as made:
        made._lock.acquire()
    made._lock.release()
    made.stop()
    with running(tmp_path):
        assert (count(), len(loads)) == (1, 1)


def test_what_cannot_be_copied_is_read_anew(
    db: str, tmp_path: Path, loads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    add("Berlin", "Paris")
    with running(tmp_path) as made:
        with writing(OPERATOR) as session:
            session.execute(text("DELETE FROM contacts WHERE city = 'Paris'"))
        assert count() == 1
        size = made.standing().bytes
        monkeypatch.setattr(disk_space, "free", lambda folder: int(settings().disk_reserve) + size - 1)
        monkeypatch.setattr(mirror, "STALE", 0.0)
        until("it is read anew", lambda: len(loads) == 2 and answers())
        assert count() == 1
    assert b"Paris" not in bytes_of(tmp_path)


def test_a_disk_without_room_is_left_alone(db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "AGAIN", 0.1)
    add(*["Berlin"] * 100)
    with monkeypatch.context() as full:
        full.setattr(disk_space, "free", lambda folder: int(settings().disk_reserve) + 100 * mirror.EACH - 1)
        with mirror.held(tmp_path, threads=1, memory="200MB") as made:
            until("it says so", lambda: bool(made.progress.fault))
            assert made.progress.phase is Phase.WAITING
            assert made.progress.fault.startswith(f"The disk of {tmp_path} has ")
            assert list(tmp_path.glob(FILE)) == []
            assert count("city=Berlin") == 100
            full.undo()
            assert made.wait(60)


def test_nobody_else_reads_it(db: str, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        add("Berlin")
        with running(tmp_path / "mirror"):
            assert answers()
            add("Paris")
            assert count() == 2
            kinds = {one.suffix: one.stat().st_mode & 0o777 for one in (tmp_path / "mirror").iterdir()}
            assert (tmp_path / "mirror").stat().st_mode & 0o777 == 0o700
            assert kinds[".duckdb"] == 0o600
        (tmp_path / "mirror").chmod(0o755)
        with running(tmp_path / "mirror"):
            assert (tmp_path / "mirror").stat().st_mode & 0o777 == 0o700
    finally:
        os.umask(before)


def test_what_no_process_goes_on_with_is_removed(db: str, tmp_path: Path) -> None:
    add("Berlin")
    with running(tmp_path):
        assert answers()
    [mine] = tmp_path.glob(FILE)
    abandoned, recent = tmp_path / "zz.duckdb", tmp_path / "zzz.duckdb"
    for one in (abandoned, recent):
        shutil.copy(mine, one)
    (tmp_path / "zz.spilled").mkdir()
    (tmp_path / "zz.spilled" / "duckdb_temp_block-1.block").write_bytes(b"of somebody")
    old = time.time() - mirror.ABANDONED - 60
    os.utime(abandoned, (old, old))
    with running(tmp_path):
        until("it is gone", lambda: not abandoned.exists())
        assert (mine.exists(), recent.exists(), (tmp_path / "zz.spilled").exists()) == (True, True, False)


def test_the_file_of_an_instance_that_restarts_is_left_to_it(db: str, tmp_path: Path, loads: list[int]) -> None:
    add("Berlin")
    with running(tmp_path):
        assert answers()
    [mine] = tmp_path.glob(FILE)
    another = tmp_path / "zz.duckdb"
    shutil.copy(mine, another)
    with running(tmp_path):
        with psycopg.connect(libpq_url(db), autocommit=True) as other:
            other.execute("TRUNCATE contacts CASCADE")
        until("all are read again", lambda: len(loads) == 2 and answers())
        assert (mine.exists(), another.exists()) == (False, True)


def test_what_is_of_no_use_is_removed_wherever_it_lies(db: str, tmp_path: Path) -> None:
    folder = tmp_path / "o'clock"
    folder.mkdir()
    (folder / "a.duckdb").write_bytes(b"something else " * 1000)
    add("Berlin")
    with running(folder):
        assert (count(), answers()) == (1, True)
        assert not (folder / "a.duckdb").exists()


def test_who_chooses_a_file_does_so_alone(db: str, tmp_path: Path) -> None:
    """Another instance may be about to take again what it had, or what it has just copied."""
    add("Berlin")
    with mirror_files.alone(tmp_path), mirror.held(tmp_path, threads=1, memory="200MB") as made:
        assert not made.wait(1)
        assert made.progress.phase is Phase.WAITING
    with running(tmp_path) as made:
        copy = tmp_path / "copy.duckdb"
        assert made._file is not None
        with made._file.copied(copy):
            asking = "import sys, pathlib; from models.contacts.mirror_files import is_in_use; "
            asking += "print(is_in_use(pathlib.Path(sys.argv[1])))"
            command = [sys.executable, "-c", asking, str(copy)]
            environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
            assert subprocess.check_output(command, env=environment, text=True) == "True\n"


def test_a_copy_lies_in_a_folder_of_any_name(
    db: str, tmp_path: Path, loads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "somebody's"
    add("Berlin", "Paris")
    with running(folder) as made:
        with writing(OPERATOR) as session:
            session.execute(text("DELETE FROM contacts WHERE city = 'Paris'"))
        assert (count(), answers()) == (1, True)
        first = made._file
        monkeypatch.setattr(mirror, "STALE", 0.0)
        until("it is written anew", lambda: made._file not in (first, None))
        assert (count(), answers(), len(loads)) == (1, True, 1)


def test_without_a_mirror_nothing_is_left_of_one_and_its_engine_is_not_loaded(
    db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path / "mirror"):
        assert answers()
    assert len(list((tmp_path / "mirror").glob(FILE))) == 1
    code = """import sys
from models.contacts import own_mirror
with own_mirror.mirroring():
    print("duckdb" in sys.modules)"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    environment |= {"APPOINTMENT360_MIRROR": "off", "APPOINTMENT360_HOME": str(tmp_path)}
    assert subprocess.check_output([sys.executable, "-c", code], env=environment, text=True) == "False\n"
    assert list((tmp_path / "mirror").glob("*")) == []


def test_where_capitals_are_others_nothing_is_left_of_it(
    db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path):
        assert answers()
    monkeypatch.setattr(mirror_source, "has_usual_capitals", lambda session: False)
    with mirror.held(tmp_path, threads=1, memory="200MB") as made:
        until("it gives up", lambda: made.progress.phase is Phase.OFF and not list(tmp_path.glob(FILE)))
        assert count() == 0


def test_moments_that_never_are_are_mirrored(db: str, tmp_path: Path) -> None:
    with psycopg.connect(libpq_url(db), autocommit=True) as other:
        other.execute("INSERT INTO contacts (city, created_at) VALUES ('A', 'infinity'), ('B', '-infinity')")
    add("C")
    with running(tmp_path), own_mirror.looking() as view:
        assert view is not None
        rows = view.cursor.execute("SELECT created_at::VARCHAR FROM contacts ORDER BY created_at").fetchall()
        assert [rows[0], rows[2]] == [("-infinity",), ("infinity",)]


def test_what_the_engine_says_of_somebody_is_not_logged(
    db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(self: Mirrored) -> int:
        return int(self.view.cursor.execute("SELECT 'somebody@nobody.example'::INTEGER").fetchall()[0][0])

    add("Berlin")
    with running(tmp_path):
        monkeypatch.setattr(Mirrored, "count", failing)
        assert count("city=Berlin") == 1
    assert "ConversionException in test_mirror_files.py" in caplog.text
    assert "somebody@" not in caplog.text


def test_counting_its_contacts_lets_nobody_close_it_meanwhile(db: str, tmp_path: Path) -> None:
    class Retired(Columnar):
        """As soon as somebody has a cursor."""

        def lent(self) -> duckdb.DuckDBPyConnection:
            cursor = super().lent()
            self.retire()
            return cursor

        def cursor(self) -> duckdb.DuckDBPyConnection:
            cursor = super().cursor()
            self.retire()
            return cursor

    add("Berlin")
    with running(tmp_path) as made:
        assert made._file is not None
        with made._lock:
            made._file.__class__ = Retired
            assert made.standing().contacts == 1
        made._file = None


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
