"""`uv run python -m tests.bench [--rows N]`: imports and exports against what Postgres and openpyxl do with the same
rows, on the same server, in the same run; with `--browse` what the contacts screen reads, against plain SQL, the screen
in Chromium, and twenty people at once. Makes its own data; prints tables; ends with 1 where a limit was missed."""

import argparse
import os
import platform
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import duckdb
import openpyxl
import psutil
import psycopg
from rich.console import Console
from rich.table import Table

from deploy.embedded_postgres import Server, start_or_join
from models import account_links, database
from tests.bench import (
    api,
    backups,
    browse,
    clicks,
    data,
    duplicates,
    engines,
    indexes,
    kills,
    limits,
    numbers,
    people,
    plans,
    screen,
)
from tests.bench.processes import Run, command
from tests.bench.warm_checker import warm_checker

OPENPYXL_ROWS = 20_000  # its time grows with the rows; a million would take a quarter of an hour
COMMIT = ("--yes", "--accept-drift", "Made-up files differ on purpose")
MB = 1024 * 1024


@dataclass(frozen=True)
class Row:
    """One line of the table: `ours` and `baseline` in seconds, `limit` in words with whether it is kept."""

    what: str
    ours: float
    baseline: float | None
    peak: int | None
    limit: str
    kept: bool


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000], help="several for --engines")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where there is room for it")
    parser.add_argument("--browse", action="store_true", help="browsing instead of imports and exports")
    parser.add_argument("--numbers", action="store_true", help="what is kept of what browsing counts instead")
    parser.add_argument("--duplicates", action="store_true", help="finding duplicates instead")
    parser.add_argument("--kills", action="store_true", help="imports whose processes are killed instead")
    parser.add_argument("--api", action="store_true", help="requests of programs instead")
    parser.add_argument("--backup", action="store_true", help="backups and their drills instead")
    parser.add_argument("--engines", action="store_true", help="the mirror beside Postgres alone instead")
    parser.add_argument(
        "--indexes", action="store_true", help="imports with and without the indexes for browsing instead"
    )
    parser.add_argument("--screen", action="store_true", help="a file's way in and out through the screens instead")
    options = parser.parse_args()
    if options.engines:
        sys.exit(0 if engines_of(options.folder, options.rows) else 1)
    [rows] = options.rows
    if options.indexes:
        sys.exit(0 if indexes_of(options.folder, rows) else 1)
    if options.screen:
        sys.exit(0 if screen_of(options.folder, rows) else 1)
    with _home(options.folder) as home, _server(home) as server:
        show_machine(rows)
        chosen = {
            browsing_of: options.browse, duplicates_of: options.duplicates, kills_of: options.kills,
            api_of: options.api, backup_of: options.backup, numbers_of: options.numbers, moving: True,
        }  # fmt: skip
        part = next(part for part, wanted in chosen.items() if wanted)
        kept = part(home, server, rows)
    sys.exit(0 if kept else 1)


def moving(home: Path, server: Server, rows: int) -> bool:
    """Files in and out; whether every limit was kept."""
    measured = measure(home, server, rows)
    show(measured)
    planned = plans.measured(home, server, home / "bench" / "first.csv", rows)
    return limits.show("a plan that updates everything", planned) and all(row.kept for row in measured)


def measure(home: Path, server: Server, rows: int) -> list[Row]:
    files = home / "bench"
    files.mkdir()
    first, changed, small = files / "first.csv", files / "changed.csv", files / "small.csv"
    data.write(first, rows)
    data.write(small, 500, seed=2)
    found = [*_imports(home, server, first, rows)]
    _write_changed(first, changed, rows)
    found.append(_changed_import(home, changed, rows))
    found.append(_small_import(home, small))
    found += _undone_updates(home, first, files / "moved.csv")
    return [*found, *_exports(home, server, files)]


def browsing_of(home: Path, server: Server, rows: int) -> bool:
    """The contacts screen; whether every limit was kept."""
    data.write(home / "first.csv", rows)
    command(home, "import", str(home / "first.csv"), *COMMIT)
    _settle(server)
    timed = browse.measure()
    browse.show(timed)
    at_once = f"{people.PEOPLE} people click at once, {people.ROUNDS} times"
    kept = [
        limits.show(f"{len(timed)} views, each {browse.ROUNDS} times", browse.measured(timed)),
        limits.show("in Chromium", clicks.measured(clicks.measure(server.url(), home))),
        limits.show(at_once, people.measured(people.measure(server.url(), home))),
    ]
    return all(kept)


def engines_of(folder: Path, sizes: list[int]) -> bool:
    """Each size in a home of its own; whether what is asked of the largest is kept."""
    sides = []
    for rows in sizes:
        with _home(folder) as home, _server(home) as server:
            show_machine(rows)
            data.write(home / "first.csv", rows)
            made = command(home, "import", str(home / "first.csv"), *COMMIT)
            (home / "first.csv").unlink()
            print(f"imported in {made.seconds:,.0f} s, {made.peak // MB:,} MB")
            _settle(server)
            sides.append(engines.measure(home / "mirror", rows))
            if rows == sizes[-1]:
                seen, waited = clicks.measure(server.url(), home), people.measure(server.url(), home)
            database.engine().dispose()
    engines.show(sides)
    kept = [
        limits.show(f"{sizes[-1]:,} rows", engines.measured(sides)),
        limits.show("in Chromium", clicks.measured(seen)),
        limits.show(f"{people.PEOPLE} people click at once, {people.ROUNDS} times", people.measured(waited)),
    ]
    return all(kept)


def indexes_of(folder: Path, rows: int) -> bool:
    """The same files with the indexes that served browsing and without them; whether imports gain enough."""
    show_machine(rows)
    with _home(folder) as made:
        first, changed, small, moved = files = [made / f"{name}.csv" for name in ("first", "changed", "small", "moved")]
        data.write(first, rows)
        _write_changed(first, changed, rows)
        data.write(small, 500, seed=2)
        _write_moved(first, moved)
        sides = []
        for former in (True, False):
            with _home(folder) as home, _server(home) as server:
                command(home, "count")  # the schema
                database.bind(server.url())
                bring = partial(_bring, home)
                back = partial(_take_back, home)
                sides.append(indexes.measure(server.url(driver=""), files, bring, back, former=former))
                database.engine().dispose()
    words = {
        "first": f"import {rows:,} rows, empty base", "changed": f"{rows // 10:,} rows into it, half updates",
        "small": "500 rows", "moved": f"{rows:,} rows, all updates",
    }  # fmt: skip
    before, now = sides
    indexes.show(before, now, words)
    return limits.show("without the indexes that served browsing", indexes.measured(before, now))


def _bring(home: Path, file: Path) -> Run:
    return command(home, "import", str(file), *COMMIT)


def _take_back(home: Path, made: Run) -> Run:
    return command(home, "imports", "undo", str(made.answer["import_id"]))


def screen_of(folder: Path, rows: int) -> bool:
    """Through the screens of a whole `up`, which has a server of its own; whether every limit was kept."""
    with _home(folder) as home:
        show_machine(rows)
        seen = screen.measure(home, rows)
    screen.show(seen)
    return limits.show(f"{rows:,} rows through the screen", screen.measured(seen))


def numbers_of(home: Path, server: Server, rows: int) -> bool:
    """What is counted beside a page, and kept; whether it is given again soon enough."""
    data.write(home / "first.csv", rows)
    command(home, "import", str(home / "first.csv"), *COMMIT)
    _settle(server)
    found = numbers.timed(server.url(driver=""))
    numbers.show(found)
    return limits.show(f"{rows:,} rows, counted once", numbers.measured(found, server.url(driver="")))


def duplicates_of(home: Path, server: Server, rows: int) -> bool:
    """Finding what is there twice; whether every limit was kept."""
    command(home, "count")  # the schema
    return all(
        [
            limits.show("tables whose duplicates are known", list(duplicates.known_tables())),
            limits.show("made-up contacts, 5 % of them there twice", list(duplicates.made_up(home, server, rows))),
        ]
    )


def api_of(home: Path, server: Server, rows: int) -> bool:
    """Requests of programs; whether every limit was kept."""
    data.write(home / "first.csv", rows)
    command(home, "import", str(home / "first.csv"), *COMMIT)
    _settle(server)
    return limits.show("requests to the API", list(api.measured(server.url(), home)))


def backup_of(home: Path, server: Server, rows: int) -> bool:
    """A backup and its drill; whether they take at most so much longer than what Postgres has for it."""
    data.write(home / "first.csv", rows)
    command(home, "import", str(home / "first.csv"), *COMMIT)
    (home / "first.csv").unlink()
    _settle(server)
    database.engine().dispose()
    return limits.show(f"{rows:,} rows, backed up", backups.measured(home, server))


def kills_of(home: Path, _: Server, __: int) -> bool:
    """Imports under kill -9; whether what they leave is what nobody's kills would."""
    folder = home / "killed"
    folder.mkdir(mode=0o755)
    return limits.show("imports under kill -9", kills.measure(folder))


def _settle(server: Server) -> None:
    """Bind the database, as autovacuum leaves it soon after an import."""
    database.bind(server.url())
    with psycopg.connect(server.url(driver=""), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE contacts")


def _imports(home: Path, server: Server, first: Path, rows: int) -> Iterator[Row]:
    added = command(home, "users", "add", data.OWNER, "--limit", str(10 * rows))
    database.bind(server.url())
    account_links.accept(added.answer["link"].partition("?link=")[2], secrets.token_urlsafe(), address=None)
    ours = command(home, "import", str(first), *COMMIT)
    plain = _plain_copy(server, first.with_name("plain.copy"))
    speed = rows / ours.seconds
    yield Row(
        f"import {rows:,} rows, empty base",
        ours.seconds,
        plain,
        ours.peak,
        f"{speed:,.0f} rows/s (20,000), ratio 1.5, 1 GB",
        speed >= 20_000 and ours.seconds <= 1.5 * plain and ours.peak < 1024 * MB,
    )
    yield from _undone_creation(home, ours)
    _settle(server)
    again = command(home, "import", str(first), *COMMIT)
    if again.answer["created"] or again.answer["updated"]:
        raise RuntimeError(f"The second import of the same file changed something: {again.answer}")
    yield Row(
        "the same file again",
        again.seconds,
        ours.seconds,
        again.peak,
        "faster than first",
        again.seconds < ours.seconds,
    )


def _undone_creation(home: Path, made: Run) -> Iterator[Row]:
    """The import taken back, which created every contact, and brought back."""
    identity = str(made.answer["import_id"])
    yield _undo(home, "undo of the import, all created", identity, made)
    back = command(home, "imports", "redo", identity)
    if back.answer["returned"] != made.answer["created"]:
        raise RuntimeError(f"The undo of the undo did not bring every contact back: {back.answer}")
    yield Row("undo of that undo", back.seconds, made.seconds, back.peak, "", True)


def _undone_updates(home: Path, first: Path, moved: Path) -> Iterator[Row]:
    """A file that changes every contact of the first, and is taken back."""
    _write_moved(first, moved)
    made = command(home, "import", str(moved), *COMMIT)
    if made.answer["created"]:
        raise RuntimeError(f"A file that should only update creates contacts: {made.answer}")
    yield Row(f"{made.answer['updated']:,} updates", made.seconds, None, made.peak, "", True)
    yield _undo(home, "undo, all updated", str(made.answer["import_id"]), made)


def _undo(home: Path, what: str, identity: str, made: Run) -> Row:
    ours = command(home, "imports", "undo", identity)
    concerned = made.answer["created"] + made.answer["updated"]
    if ours.answer["kept"] or ours.answer["removed"] + ours.answer["restored"] != concerned:
        raise RuntimeError(f"An undo that nothing stood against is not whole: {ours.answer}")
    return Row(what, ours.seconds, made.seconds, ours.peak, "ratio 2.0", ours.seconds <= 2.0 * made.seconds)


def _plain_copy(server: Server, dump: Path) -> float:
    """Seconds of a plain COPY of the rows just imported into a table with the same columns and indexes."""
    with psycopg.connect(server.url(driver=""), autocommit=True) as connection:
        with connection.cursor().copy("COPY contacts TO STDOUT") as source, dump.open("wb") as target:
            for block in source:
                target.write(block)
        connection.execute("CREATE TABLE plain (LIKE contacts INCLUDING ALL)")
        started = time.perf_counter()
        with dump.open("rb") as source_file, connection.cursor().copy("COPY plain FROM STDIN") as target_copy:
            while block := source_file.read(MB):
                target_copy.write(block)
        seconds = time.perf_counter() - started
        connection.execute("DROP TABLE plain")
    dump.unlink()
    return seconds


def _write_changed(first: Path, changed: Path, rows: int) -> None:
    """A tenth of the rows: half are in the base with a new title, half are new."""
    half = rows // 20
    fresh = changed.with_name("fresh.csv")
    data.write(fresh, half, seed=3)
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        read = "read_csv('{}', all_varchar = true, header = true)"
        connection.execute(
            f"""COPY (
                SELECT * REPLACE ('Moved to ' || "Title" AS "Title")
                FROM (FROM {read.format(first)} LIMIT {half})
                UNION ALL FROM {read.format(fresh)}
            ) TO '{changed}' (HEADER)"""
        )


def _write_moved(first: Path, moved: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        source = f"read_csv('{first}', all_varchar = true, header = true)"
        changed = f"""SELECT * REPLACE ('Acting ' || "Title" AS "Title") FROM {source}"""
        connection.execute(f"COPY ({changed}) TO '{moved}' (HEADER)")


def _changed_import(home: Path, changed: Path, rows: int) -> Row:
    ours = command(home, "import", str(changed), *COMMIT)
    what = f"{rows // 10:,} rows into it, half updates"
    return Row(what, ours.seconds, None, ours.peak, "15 s at a million", ours.seconds <= 15)


def _small_import(home: Path, small: Path) -> Row:
    with warm_checker(home):
        ours = command(home, "import", str(small), *COMMIT)
    return Row("import 500 rows, `up` running", ours.seconds, None, ours.peak, "4 s", ours.seconds <= 4)


def _exports(home: Path, server: Server, files: Path) -> Iterator[Row]:
    csv = command(home, "export", str(files / "all.csv"))
    plain = _copy_to(server, files / "plain.csv")
    yield Row(
        f"export {csv.answer['rows']:,} contacts, CSV", csv.seconds, plain, csv.peak, "ratio 1.5, 400 MB",
        csv.seconds <= 1.5 * plain and csv.peak < 400 * MB,
    )  # fmt: skip
    person = command(home, "export", str(files / "person.csv"), "--as", data.OWNER)
    if person.answer["credits"] != csv.answer["rows"]:
        raise RuntimeError(f"A person's first export does not cost its contacts: {person.answer}")
    yield Row(
        "the same, paid by a person", person.seconds, csv.seconds, person.peak, "1 s more, 400 MB",
        person.seconds <= csv.seconds + 1 and person.peak < 400 * MB,
    )  # fmt: skip
    xlsx = command(home, "export", str(files / "all.xlsx"))
    baseline = _openpyxl(server, files / "plain.xlsx") * xlsx.answer["rows"] / OPENPYXL_ROWS
    yield Row(
        "the same, XLSX (openpyxl: from 20,000)", xlsx.seconds, baseline, xlsx.peak, "5 times faster, 400 MB",
        xlsx.seconds * 5 <= baseline and xlsx.peak < 400 * MB,
    )  # fmt: skip


def _copy_to(server: Server, target: Path) -> float:
    started = time.perf_counter()
    with (
        psycopg.connect(server.url(driver="")) as connection,
        connection.cursor().copy("COPY contacts TO STDOUT (FORMAT csv, HEADER)") as source,
        target.open("wb") as file,
    ):
        for block in source:
            file.write(block)
    return time.perf_counter() - started


def _openpyxl(server: Server, target: Path) -> float:
    """Seconds that openpyxl's write-only mode takes for OPENPYXL_ROWS contacts, reading them included."""
    started = time.perf_counter()
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet()
    with psycopg.connect(server.url(driver="")) as connection:
        rows = connection.execute(f"SELECT * FROM contacts ORDER BY id LIMIT {OPENPYXL_ROWS}")
        for row in rows:
            sheet.append([_plain(value) for value in row])
    book.save(target)
    return time.perf_counter() - started


def _plain(value: object) -> object:
    if isinstance(value, list | dict):
        return str(value)
    return value.replace(tzinfo=None) if hasattr(value, "tzinfo") else value


def show_machine(rows: int) -> None:
    memory = psutil.virtual_memory().total / 1024**3
    print(f"{rows:,} rows; {os.cpu_count()} cores, {memory:.0f} GB, Python {platform.python_version()}")


def show(rows: list[Row]) -> None:
    table = Table("work", "ours s", "baseline s", "ratio", "peak MB", "limit", "")
    for row in rows:
        ratio = f"{row.ours / row.baseline:.2f}" if row.baseline else ""
        base = f"{row.baseline:.1f}" if row.baseline else ""
        peak = f"{row.peak // MB}" if row.peak else ""
        table.add_row(row.what, f"{row.ours:.1f}", base, ratio, peak, row.limit, limits.verdict(row.kept))
    Console(width=110).print(table)


@contextmanager
def _home(folder: Path) -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="appointment360-bench-", dir=folder))
    home.chmod(0o755)
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _server(home: Path) -> Iterator[Server]:
    server = start_or_join(home)
    try:
        yield server
    finally:
        server.release()


if __name__ == "__main__":
    main()
