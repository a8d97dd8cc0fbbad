"""The finder over all contacts, in a process of its own: `python -m pipelines.duplicate_finder.child FOLDER`.

Reads contacts and decisions from DATABASE_URL, leaves the pairs in the staging table of models.duplicates.runs, and
prints a JSON object a line: {"step": ...} for what it begins, at last {"found": {...}}. What DuckDB cannot hold in its
memory goes to FOLDER. Whoever started it kills it when it is no longer wanted: nothing else is written. It ends by
itself when its standard input does, which is the moment that process is gone.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import duckdb
import pyarrow as pa
from adbc_driver_manager import AdbcConnection, AdbcStatement

from models import garbage, logs
from models.duplicates.runs import TABLE
from models.duplicates.tables import Decision
from pipelines.arrow_copy import copy_in, known
from pipelines.duplicate_finder import linking
from pipelines.duplicate_finder.contacts import COLUMNS, CONTACTS, SEEN

MEMORY = "2GB"  # what DuckDB may hold; beside it the process needs some hundred megabytes
ROWS = 50_000  # of a batch on its way to Postgres


def main() -> None:
    threading.Thread(target=_end_with_the_caller, daemon=True).start()
    url, folder = os.environ["DATABASE_URL"], Path(sys.argv[1])
    started = time.monotonic()
    with duckdb.connect(str(folder / "contacts.duckdb")) as connection:
        for setting in (f"memory_limit = '{MEMORY}'", "threads = 2", f"temp_directory = '{folder}'"):
            connection.execute(f"SET {setting}")
        connection.execute("SET preserve_insertion_order = false")
        connection.execute("SET enable_progress_bar = false")
        _say({"step": "read"})
        _read(connection, url)
        found = linking.link(connection, CONTACTS, "contacts", apart="apart", say=lambda step: _say({"step": step}))
        _say({"step": "write"})
        _write(connection, url)
    _say({"found": asdict(found) | {"seconds": time.monotonic() - started}})


def _end_with_the_caller() -> None:
    os.read(sys.stdin.fileno(), 1)  # not its buffer, whose lock the thread would hold when the interpreter ends
    os._exit(1)


def _read(connection: duckdb.DuckDBPyConnection, url: str) -> None:
    decided = f"SELECT left_id, right_id FROM duplicate_decisions WHERE decision = '{Decision.NOT_SAME}'"
    for table, query in (("contacts", f"SELECT {', '.join(COLUMNS)} FROM contacts"), ("apart", decided)):
        with _batches(url, query) as batches:
            connection.register("arriving", batches)
            connection.execute(f"CREATE TABLE {table} AS SELECT * FROM arriving")
            connection.unregister("arriving")


@contextmanager
def _batches(url: str, query: str) -> Iterator[pa.RecordBatchReader]:
    with (
        known(url) as database,
        AdbcConnection(database) as connection,
        AdbcStatement(connection) as statement,
    ):
        statement.set_sql_query(query)
        stream, _ = statement.execute_query()
        yield pa.RecordBatchReader._import_from_c(stream.address)


def _write(connection: duckdb.DuckDBPyConnection, url: str) -> None:
    rows = connection.sql(
        f"""SELECT p.left_id, p.right_id, c.cluster_id, p.weight, p.probability, p.reasons,
            l.{SEEN} AS left_seen, r.{SEEN} AS right_seen
        FROM {linking.PAIRS} p JOIN {linking.CLUSTERS} c ON c.id = p.left_id
        JOIN contacts l ON l.id = p.left_id JOIN contacts r ON r.id = p.right_id"""
    )
    copy_in(url, TABLE, rows.to_arrow_reader(ROWS), schema="staging")


def _say(told: dict[str, object]) -> None:
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    garbage.seldom_sought()
    logs.begin("worker")
    main()
