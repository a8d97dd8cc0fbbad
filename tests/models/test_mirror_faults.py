"""What hinders the mirror, or takes long: the database answers then, nobody waits, and an end comes at once."""

import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from adbc_driver_manager import Error as AdbcError
from sqlalchemy import text
from sqlalchemy.orm import Session

from models import bounded_connection, database
from models.contacts import mirror, mirror_source
from models.contacts.columnar import Columnar
from models.contacts.mirror import Mirror
from models.contacts.mirrored import Mirrored
from models.contacts.own_mirror import Phase, Progress
from models.database import Database, reading, writing
from models.errors import TooSlow
from models.permissions import OPERATOR
from tests.mirrors import FILE, add, answers, count, running
from tests.waiting import until

ENDLESS = "SELECT sum(a.range * b.range) FROM range(10000000) AS a, range(10000000) AS b"


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


def test_what_the_engine_says_of_somebody_is_not_logged(
    db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(self: Mirrored) -> int:
        return int(self.view.cursor.execute("SELECT 'somebody@nobody.example'::INTEGER").fetchall()[0][0])

    add("Berlin")
    with running(tmp_path):
        monkeypatch.setattr(Mirrored, "count", failing)
        assert count("city=Berlin") == 1
    assert "ConversionException in test_mirror_faults.py" in caplog.text
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
