"""The DuckDB file that an opened contact file becomes: tables raw, unreadable, opened."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from models.import_progress import Step
from pipelines.contact_files.opened_file import OpenedFile
from pipelines.interruptible import interruptible
from pipelines.watched import begin

# Cells and characters gathered before they go to DuckDB: a few tens of MB whatever the width.
BATCH_CELLS = 200_000
BATCH_CHARACTERS = 16_000_000
# DuckDB keeps the Arrow buffers of a transaction until its end, so a single one would hold the whole file. Nothing is
# lost by committing: the file is built aside and takes its place only when it is whole.
BATCHES_PER_COMMIT = 4
RAW_CUT = 100_000
# Files come from people: nothing in them may make DuckDB fetch code.
NO_FOREIGN_CODE = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}


class Store:
    """Writes the tables of one opened file. Rows are appended in file order."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self._width = 0
        self._rows: list[tuple[int, Sequence[str]]] = []
        self._unreadable: list[tuple[int, str, str]] = []
        self._characters = 0
        self._batches = 0
        self._full = BATCH_CELLS
        connection.execute("CREATE TABLE unreadable (line BIGINT, reason VARCHAR, raw VARCHAR)")

    def watch(self, step: Step, size: int) -> None:
        """Let the statement that comes next be watched: it reads a file of so many bytes."""
        before = self.connection.query_progress()  # of the last statement: it stands until the next one has begun

        def look() -> int | None:
            percent = self.connection.query_progress()  # below 0 while there is none
            return int(size * percent / 100) if 0 < percent < 100 and percent != before else None

        begin(step, size, look=look)

    def create_raw(self, width: int) -> None:
        """Create the table `raw` with a line and `width` cells."""
        cells = ", ".join(f"c{number} VARCHAR" for number in range(width))
        self.connection.execute("BEGIN")
        self.connection.execute(f"CREATE TABLE raw (line BIGINT, {cells})")
        self._width = width
        self._full = max(BATCH_CELLS // (width + 1), 100)

    def add(self, line: int, cells: Sequence[str], characters: int = 0) -> None:
        """Append one row of exactly `width` cells; `characters` is about how long it is."""
        self._rows.append((line, cells))
        self._characters += characters
        if len(self._rows) >= self._full or self._characters > BATCH_CHARACTERS:
            self._flush()

    def add_unreadable(self, line: int, reason: str, raw: str) -> None:
        """Append one record that is no row."""
        # A line too long to be read keeps its NULs until here.
        self._unreadable.append((line, reason, raw[:RAW_CUT].replace("\0", "")))
        self._characters += len(raw[:RAW_CUT])
        if len(self._unreadable) >= 10_000 or self._characters > BATCH_CHARACTERS:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            lines = pa.array([line for line, _ in self._rows], pa.int64())
            columns = [
                pa.array(column, pa.string()) for column in zip(*(cells for _, cells in self._rows), strict=True)
            ]
            names = ["line", *(f"c{number}" for number in range(self._width))]
            self._insert("raw", pa.Table.from_arrays([lines, *columns], names=names))
        if self._unreadable:
            names = ["line", "reason", "raw"]
            rows = [dict(zip(names, row, strict=True)) for row in self._unreadable]
            self._insert("unreadable", pa.Table.from_pylist(rows))
        self._rows, self._unreadable, self._characters = [], [], 0
        self._batches += 1
        if self._batches % BATCHES_PER_COMMIT == 0:
            self.connection.execute("COMMIT")
            self.connection.execute("BEGIN")

    def _insert(self, table: str, batch: pa.Table) -> None:
        self.connection.register("batch", batch)
        self.connection.execute(f"INSERT INTO {table} SELECT * FROM batch")
        self.connection.unregister("batch")

    def finish_raw(self) -> None:
        """Write what is still gathered."""
        self._flush()
        self.connection.execute("COMMIT")

    def drop_empty_columns(self, *, after: int) -> int:
        """Drop the columns at the end, from number `after`, that hold nothing. Returns the width left."""
        while self._width > after:
            last = f"c{self._width - 1}"
            found = self.connection.execute(f"SELECT 1 FROM raw WHERE {last} <> '' LIMIT 1").fetchone()
            if found:
                break
            self.connection.execute(f"ALTER TABLE raw DROP COLUMN {last}")
            self._width -= 1
        return self._width

    def count(self) -> int:
        """Records of the file: rows and unreadable ones."""
        query = "SELECT (SELECT count(*) FROM raw) + (SELECT count(*) FROM unreadable)"
        found = self.connection.execute(query).fetchone()
        return int(found[0]) if found else 0

    def write_opened(self, opened: OpenedFile) -> None:
        """Write the account of the file as the one row of `opened`."""
        self.connection.execute("CREATE TABLE opened (opened JSON)")
        self.connection.execute("INSERT INTO opened VALUES ($opened)", {"opened": opened.to_json()})


@contextmanager
def new_store(path: Path, *, memory_limit: str, threads: int) -> Iterator[Store]:
    """A store in a new DuckDB file at `path`, replacing any; checkpointed and closed at the end."""
    path.unlink(missing_ok=True)
    spill = path.with_suffix(".spill")
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory_limit,
        "threads": threads,
        "temp_directory": str(spill),
        # What DuckDB chooses for text anyway: to try the others takes a sixth of the loading.
        "force_compression": "dict_fsst",
        **NO_FOREIGN_CODE,
    }
    connection = duckdb.connect(str(path), config=config)
    try:
        with interruptible(connection.interrupt):
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("SET enable_progress_bar = true")  # else nobody can ask how far a statement is
            connection.execute("SET enable_progress_bar_print = false")
            yield Store(connection)
            connection.execute("CHECKPOINT")
    finally:
        connection.close()
