"""What becomes of the mirror's file over restarts and damage, with other processes and versions, and of its words."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import psycopg
import pytest
from sqlalchemy import insert, text

from models import disk_space, filters, kernel_locks
from models.contacts import feed, mirror, mirror_source, search
from models.contacts.own_mirror import Phase
from models.contacts.table import Contact
from models.database import libpq_url, reading, writing
from models.permissions import OPERATOR
from models.settings import settings
from tests.mirrors import FILE, add, answers, count, running
from tests.waiting import until


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


def test_a_file_that_somebody_removed_is_made_anew(
    db: str, tmp_path: Path, loads: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    """Who has it open could go on, and would hold room on the disk that nobody finds."""
    add("Berlin")
    with running(tmp_path) as made:
        for file in list(tmp_path.iterdir()):
            file.unlink()
        made.tell()
        until("it is read anew", lambda: len(loads) == 2 and answers())
        assert (count(), len(list(tmp_path.glob(FILE)))) == (1, 1)
    assert "the file of the mirror of contacts was removed" in caplog.text


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
        with mirror.own_mirror.viewing() as view:
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
    with kernel_locks.alone_in(tmp_path), mirror.held(tmp_path, threads=1, memory="200MB") as made:
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
