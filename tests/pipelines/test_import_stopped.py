"""An import that is stopped, repeated or disturbed comes to the same end, or says why not."""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from data_checks.gate import Gate
from deploy.embedded_postgres import start_or_join
from models import database, disk_space, import_phases, imports, migrations
from models.database import libpq_url
from models.errors import Conflict, NotFound, Unavailable
from models.import_phases import Phase
from models.imports import State
from models.permissions import OPERATOR
from pipelines import import_contacts
from pipelines.contact_files import UnreadableFile
from tests.pipelines import importing
from tests.pipelines.importing import contacts, imported, numbers, sql, written
from tests.pipelines.test_import_contacts import ANN, BOB, REFUSED, committed

PROJECT = Path(__file__).parents[2]
RUN = "from models import database; from models.permissions import OPERATOR; from pipelines import import_contacts;"
RUN += "import sys; database.bind(sys.argv[1]); import_contacts.run(int(sys.argv[2]), by=OPERATOR)"


TITLES = ("VP", "VP", "CEO", "CEO")
OTHER = {"VP": "CEO", "CEO": "VP"}


@pytest.fixture
def mixed(base: str, tmp_path: Path) -> Path:
    """A base of a hundred contacts, and a file that creates, updates, leaves, repeats and refuses, and of which nothing
    stands out."""
    people = [
        {"First Name": f"P{n:03}", "Email": f"p{n:03}@example.com", "Title": TITLES[n % 4], "Industry": f"I{n % 3}",
         "# Employees": n % 90}
        for n in range(300)
    ]  # fmt: skip
    imported(written(tmp_path, people[:100], "before.csv"))
    rows = [row | {"Title": OTHER[str(row["Title"])]} if n % 2 else row for n, row in enumerate(people)]
    rows[250:250] = [
        people[120],
        {"Email": "no", "Title": "x"},
        {"Title": "y"},
        {"Email": "q@x.com", "# Employees": "1-2"},
    ]
    return written(tmp_path, rows, "mixed.csv")


MIXED = (304, 201, 50, 50, 1, 2)


@pytest.fixture
def undisturbed(mixed: Path, tmp_path: Path, home: Path) -> str:
    """What the file leaves; the base is as before again."""
    assert numbers(imported(mixed)) == MIXED
    left = importing.base()
    tables = "contacts, contact_history, industries, imports, import_rejects, import_notes, check_results"
    sql(f"TRUNCATE {tables}, industry_former_names RESTART IDENTITY")
    imported(tmp_path / "before.csv")
    return left


def test_every_step_may_be_repeated(undisturbed: str, mixed: Path, home: Path) -> None:
    import_id = importing.created(mixed)
    with Gate(home) as gate:
        for step in import_contacts.STEPS.values():
            step(import_id, gate, OPERATOR)
            step(import_id, gate, OPERATOR)
    assert importing.base() == undisturbed


def run_elsewhere(url: str, import_id: int, home: Path, *, script: str = RUN) -> "subprocess.Popen[str]":
    environment = {**os.environ, "APPOINTMENT360_HOME": str(home), "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-c", script, url, str(import_id)]
    return subprocess.Popen(command, env=environment, cwd=PROJECT, stderr=subprocess.PIPE, text=True)


def patiently(import_id: int) -> imports.Import:
    """The server may need a moment to see that a killed process is gone."""
    for _ in range(100):
        try:
            return committed(import_id)
        except Conflict as error:
            if "is being worked on by another process" not in error.sentence:
                raise
            time.sleep(0.1)
    raise AssertionError("the lock of a killed process was never released")


@pytest.mark.parametrize("seed", range(2))
def test_killed_at_any_moment_it_goes_on_to_the_same_end(
    undisturbed: str, mixed: Path, base: str, home: Path, seed: int
) -> None:
    chance = random.Random(seed)
    import_id = importing.created(mixed)
    steps = [State.NEW, State.OPENED, State.STAGED, State.PLANNED]
    for step in steps if seed else chance.sample(steps, 4):
        process = run_elsewhere(base, import_id, home)
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            [(state,)] = sql("SELECT state FROM imports WHERE id = %s", import_id)
            if state not in steps or steps.index(State(state)) >= steps.index(step):
                break
        time.sleep(chance.random() * 0.15)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert patiently(import_id).state == State.COMMITTED
    assert importing.base() == undisturbed


def test_killed_while_the_file_is_copied_it_is_interrupted_and_says_so(base: str, home: Path, tmp_path: Path) -> None:
    """A disk that takes for ever, as far as the copy can tell."""
    file = written(tmp_path, [ANN])
    script = "import shutil, sys, time; shutil.copyfile = lambda *_: time.sleep(600); from pathlib import Path;"
    script += "from models import database; from models.imports import Keep, MatchRule; database.bind(sys.argv[1]);"
    script += "from models.permissions import OPERATOR; from pipelines import import_contacts;"
    script += f"import_contacts.create(Path({str(file)!r}), match=MatchRule.AUTO, keep=Keep.THEIRS, by=OPERATOR)"
    process = run_elsewhere(base, 1, home, script=script)
    eventually(lambda: phase(1) is Phase.RUNNING, process)
    process.kill()
    process.communicate()
    eventually(lambda: phase(1) is Phase.STOPPED)
    with pytest.raises(UnreadableFile, match=r"^The file of import 1 was never stored completely"):
        committed(1)
    assert phase(1) is Phase.FAILED


def phase(import_id: int) -> Phase | None:
    with suppress(NotFound):
        return import_phases.phase(imports.listed(import_id, by=OPERATOR))
    return None


def eventually(condition: Callable[[], bool], process: "subprocess.Popen[str] | None" = None) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process is None or process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_two_processes_do_not_work_on_one_import(base: str, home: Path, tmp_path: Path) -> None:
    import_id = importing.created(written(tmp_path, [ANN]))
    with psycopg.connect(libpq_url(base)) as connection:
        connection.execute("LOCK TABLE contacts IN ACCESS EXCLUSIVE MODE")
        process = run_elsewhere(base, import_id, home)
        while not sql("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"):
            assert process.poll() is None
        with pytest.raises(Conflict, match=f"^Import {import_id} is being worked on by another process.$"):
            committed(import_id)
        connection.rollback()
    assert (process.wait(60), process.communicate()[1]) == (0, "")
    assert numbers(committed(import_id)) == (1, 1, 0, 0, 0, 0)


MOVES = {
    "edited": ("UPDATE contacts SET title = 'CTO' WHERE email = 'bob@example.com'", (2, 1, 1, 0, 0, 0)),
    "created": (
        "INSERT INTO contacts (first_name, last_name, email) VALUES ('ann', 'archer', 'ann@example.com')",
        (2, 0, 1, 1, 0, 0),
    ),
    "deleted": ("DELETE FROM contacts", (2, 2, 0, 0, 0, 0)),
}


@pytest.mark.parametrize("what", MOVES)
def test_a_plan_that_no_longer_holds_is_refused(base: str, tmp_path: Path, what: str) -> None:
    imported(written(tmp_path, [BOB]))
    move, after = MOVES[what]
    planned = imported(written(tmp_path, [ANN, BOB]), until=State.PLANNED)
    assert numbers(planned) == (2, 1, 0, 1, 0, 0)
    sql(move)
    left = sql("SELECT * FROM contacts ORDER BY id")
    with pytest.raises(Conflict, match=r"^Nothing was written: contacts changed since the plan was made"):
        committed(planned.id)
    assert sql("SELECT * FROM contacts ORDER BY id") == left
    assert numbers(committed(planned.id)) == after


def test_what_does_not_concern_the_plan_does_not_stop_it(base: str, tmp_path: Path) -> None:
    planned = imported(written(tmp_path, [ANN]), until=State.PLANNED)
    sql("INSERT INTO contacts (first_name, email) VALUES ('Zoe', 'zoe@example.com')")
    assert numbers(committed(planned.id)) == (1, 1, 0, 0, 0, 0)


def test_a_server_that_crashed_has_lost_nothing(home: Path, open_folder: Path, tmp_path: Path) -> None:
    server = start_or_join(open_folder, tuning={"shared_buffers": "32MB"})
    try:
        migrations.upgrade(server.url("postgres"))
        database.bind(server.url("postgres"))
        planned = imported(written(tmp_path, REFUSED), until=State.PLANNED)
        postmaster = int(next(open_folder.rglob("postmaster.pid")).read_text().split()[0])
        os.kill(postmaster, signal.SIGKILL)
        database.engine().dispose()
        server.release()
        server = start_or_join(open_folder, tuning={"shared_buffers": "32MB"})
        database.bind(server.url("postgres"))
        assert sql(f"SELECT count(*) FROM staging.import_{planned.id}") == [(0,)], "unlogged, or this tests nothing"
        assert numbers(committed(planned.id)) == (6, 2, 0, 0, 1, 3)
        assert len(contacts()) == 2
    finally:
        database.engine().dispose()
        server.release()


def test_a_database_that_goes_away_is_named_and_the_import_goes_on(base: str, tmp_path: Path) -> None:
    planned = imported(written(tmp_path, [ANN]), until=State.PLANNED)

    def cut(blocker: psycopg.Connection[Any]) -> None:
        waiting = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()
                     AND datname = current_database() AND EXISTS (SELECT FROM pg_locks WHERE NOT granted)"""
        while not blocker.execute(waiting).fetchall():
            time.sleep(0.02)

    with psycopg.connect(libpq_url(base)) as blocker, ThreadPoolExecutor() as threads:
        blocker.execute("LOCK TABLE contacts IN SHARE ROW EXCLUSIVE MODE")
        cutting = threads.submit(cut, blocker)
        with pytest.raises(Unavailable) as failed:
            committed(planned.id)
        cutting.result()
    assert failed.value.sentence.startswith(f"The database failed during import {planned.id}: ")
    assert failed.value.sentence.endswith(f"`appointment360 imports resume {planned.id}` goes on from here.")
    assert contacts() == []
    assert numbers(committed(planned.id)) == (1, 1, 0, 0, 0, 0)


@pytest.mark.parametrize("until", [State.OPENED, State.PLANNED])
@pytest.mark.parametrize("harm", ["missing", "damaged"])
def test_a_store_of_cells_that_is_lost_is_made_again(
    base: str, home: Path, tmp_path: Path, until: State, harm: str
) -> None:
    found = import_contacts.run(importing.created(written(tmp_path, [ANN])), until=until, by=OPERATOR)
    store = home / "imports" / str(found.id) / "rows.duckdb"
    if harm == "missing":
        store.unlink()
    else:
        store.write_bytes(b"x" * 5000)
    assert numbers(committed(found.id)) == (1, 1, 0, 0, 0, 0)
    assert len(contacts()) == 1


# Only root may mount a disk; the test after it needs no rights.
if os.geteuid() == 0:

    @pytest.fixture
    def small_disk() -> Iterator[Path]:
        folder = Path(tempfile.mkdtemp(prefix="appointment360-"))
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], check=True)
        yield folder
        subprocess.run(["umount", "-l", str(folder)], check=True)
        shutil.rmtree(folder)

    @pytest.mark.parametrize("free", [0, 200_000, 800_000])
    def test_a_full_disk_is_named_and_the_import_goes_on(
        base: str, home: Path, small_disk: Path, tmp_path: Path, free: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # The disk of 3 MB is never as free as imports want it: here what asks nobody fills it, as another program may.
        monkeypatch.setattr(disk_space, "require", lambda *_, **__: None)
        rows = [{"First Name": f"P{n}", "Email": f"p{n}@example.com", "Title": "x" * 20} for n in range(3000)]
        file = written(tmp_path, rows)
        (home / "imports").symlink_to(small_disk)
        try:
            filler = small_disk / "filler"
            if free == 0:
                with suppress(OSError):
                    filler.write_bytes(b"x" * 4_000_000)
                with pytest.raises(Unavailable, match=r"people.csv could not be stored in .*: No space left on device"):
                    importing.created(file)
                return
            import_id = importing.created(file)
            filler.write_bytes(b"x" * (shutil.disk_usage(small_disk).free - free))
            with pytest.raises(Unavailable) as failed:
                committed(import_id)
            assert "space" in failed.value.sentence
            filler.unlink()
            assert numbers(committed(import_id)) == (3000, 3000, 0, 0, 0, 0)
        finally:
            (home / "imports").unlink()


LIMITED = """import resource, signal
from models.errors import AppError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    exec(RUN)
except AppError as error:
    print(error.sentence, file=sys.stderr)
"""


def test_a_file_that_may_not_grow_is_named_and_the_import_goes_on(base: str, home: Path, tmp_path: Path) -> None:
    file = written(tmp_path, [{"First Name": f"P{n}", "Notes": f"{n}" * 100} for n in range(1000)])
    import_id = importing.created(file)
    process = run_elsewhere(base, import_id, home, script=f"import sys; RUN = {RUN!r}\n{LIMITED}")
    told = process.communicate(timeout=60)[1].strip()
    assert told.startswith("The disk is full: there was no room to open people.csv.")
    assert told.endswith(f"`appointment360 imports resume {import_id}` goes on from here.")
    assert len(told.splitlines()) == 1, "a sentence, no traceback"
    assert numbers(committed(import_id)) == (1000, 1000, 0, 0, 0, 0)
