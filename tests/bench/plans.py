"""What a plan of nothing but updates takes, and a page of the rows behind its numbers."""

import time
from pathlib import Path

import duckdb

from deploy.embedded_postgres import Server
from models import database, import_changes, imports
from models.permissions import OPERATOR
from tests.bench.limits import Measured, milliseconds
from tests.bench.processes import command

MB = 1024 * 1024
RARE = 1000  # one in so many rows changes a second field
SIZE = 50  # rows of a page


def measured(home: Path, server: Server, first: Path, rows: int) -> list[Measured]:
    """`first` is in the base; nothing of the plan is written."""
    moved = first.with_name("moved.csv")
    _write(first, moved)
    planned = command(home, "import", str(moved), "--dry-run")
    database.bind(server.url())
    import_id = planned.answer["import_id"]
    found = imports.get(import_id, by=OPERATOR)
    if found.updated < 0.9 * rows:
        raise RuntimeError(f"The file was to change nearly every contact: {planned.answer}")
    pages = [*_pages(import_id, None), *_pages(import_id, "title")]
    rare = list(_pages(import_id, "city"))
    command(home, "imports", "cancel", str(import_id), "--yes")
    return [
        Measured(f"plan of {found.updated:,} updates, from the file", planned.seconds, "s", 60 * rows / 1_000_000),
        Measured("memory meanwhile", (planned.peak or 0) / MB, "MB", 1024),
        Measured("a page of its changes, p95", milliseconds(pages, 0.95), "ms", 300),
        Measured(f"of a field that one row in {RARE:,} changes, p95", milliseconds(rare, 0.95), "ms", 500),
    ]


def _write(first: Path, moved: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute(
            f"""COPY (
                SELECT * REPLACE (
                    'Left as ' || "Title" AS "Title",
                    CASE WHEN row_number() OVER () % {RARE} = 0 THEN 'Elsewhere' ELSE "City" END AS "City"
                ) FROM read_csv('{first}', all_varchar = true, header = true)
            ) TO '{moved}' (HEADER)"""
        )


def _pages(import_id: int, field: str | None) -> list[float]:
    """Seconds of twenty pages, the first and the last among them."""
    _, total = import_changes.page(import_id, changing=field, size=1, by=OPERATOR)
    last = -(-total // SIZE)
    seconds = []
    for number in sorted({1 + (last - 1) * part // 19 for part in range(20)}):
        started = time.perf_counter()
        import_changes.page(import_id, changing=field, number=number, size=SIZE, by=OPERATOR)
        seconds.append(time.perf_counter() - started)
    return seconds
