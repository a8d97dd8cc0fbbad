"""The mirror's file, while processes and the database come and go: it goes on, or is made anew, and is never wrong."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import psycopg
import pytest
from sqlalchemy import insert, select, text

from models import database, filters
from models.contacts import feed, mirror, own_mirror, search
from models.contacts.mirror import Mirror
from models.contacts.own_mirror import Phase, Progress
from models.contacts.table import Contact
from models.database import libpq_url, reading, writing
from models.permissions import OPERATOR
from tests.waiting import until

FILE = "*.duckdb"


def add(*cities: str) -> None:
    with writing(OPERATOR) as session:
        session.execute(insert(Contact), [{"last_name": f"Of {city}", "city": city} for city in cities])


def count(query: str = "") -> int:
    return search.count(filters.parse_query(query, by=OPERATOR), by=OPERATOR)


@contextmanager
def running(folder: Path) -> Iterator[Mirror]:
    with mirror.held(folder, threads=1, memory="200MB") as made:
        assert made.wait(60)
        yield made


def answers() -> bool:
    """Whether the mirror does, not the database."""
    with own_mirror.looking() as view:
        return view is not None


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
        assert here != feed.Server(here.cluster, here.timeline, here.database + 1, here.schema)
    [file] = tmp_path.glob(FILE)
    with duckdb.connect(str(file)) as connection:
        connection.execute("UPDATE state SET of_database = of_database + 1")
    with running(tmp_path):
        assert count() == 1
    assert len(loads) == 2


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


def test_what_hinders_it_is_told(db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "AGAIN", 0.1)
    (tmp_path / "mirror").write_text("no folder")
    with mirror.held(tmp_path / "mirror", threads=1, memory="200MB") as held:
        until("it fails", lambda: bool(held.progress.fault))
        assert (held.progress.phase, held.progress.fault) == (Phase.WAITING, "FileExistsError, of which the log tells.")
        (tmp_path / "mirror").unlink()
        assert held.wait(60)
        assert held.progress == Progress(Phase.FOLLOWING)
