"""Parquet: read by DuckDB, every column as text."""

from pathlib import Path

import duckdb

from models.import_progress import Step
from pipelines.contact_files.headers import unique_names
from pipelines.contact_files.nuls import ESCAPES, Nuls
from pipelines.contact_files.opened_file import UnreadableFile, first_line, is_disk_full
from pipelines.contact_files.store import Store


def read_parquet(store: Store, path: Path, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Read the file into the store, a row's line being its position from 1. Returns the headers and notes.

    Raises UnreadableFile when it is cut off or damaged.
    """
    connection = store.connection
    try:
        columns = connection.execute("DESCRIBE SELECT * FROM read_parquet($path)", {"path": str(path)}).fetchall()
        store.watch(Step.SCAN, path.stat().st_size)
        nuls = Nuls(_count_nuls(connection, columns, path))
        texts = [_without_nuls(*column[:2]) if nuls.removed else _as_text(*column[:2]) for column in columns]
        cells = ", ".join(f"{text} AS c{number}" for number, text in enumerate(texts))
        store.watch(Step.OPEN, path.stat().st_size)
        connection.execute(f"CREATE TABLE cells AS SELECT {cells} FROM read_parquet($path)", {"path": str(path)})
    except duckdb.Error as error:
        if is_disk_full(error):
            raise
        raise UnreadableFile(f"{name} is cut off or damaged ({first_line(error)}): export it again.") from error
    connection.execute("CREATE VIEW raw AS SELECT rowid + 1 AS line, * FROM cells")
    return unique_names([column[0] for column in columns]), nuls.notes


def _count_nuls(connection: duckdb.DuckDBPyConnection, columns: list[tuple[str, ...]], path: Path) -> int:
    """How many NULs the columns hold, as characters or, in the JSON of nested values, as escapes."""
    counts = [
        f"coalesce(sum(length({_as_text(column, kind)}) - length({_without_nuls(column, kind)})) FILTER"
        f" (contains({_as_text(column, kind)}, {_nul(kind)})), 0) // length({_nul(kind)})"
        for column, kind, *_ in columns
        if kind == "VARCHAR" or _is_nested(kind)
    ]
    query = f"SELECT ({' + '.join(counts)})::BIGINT FROM read_parquet($path)"
    found = connection.execute(query, {"path": str(path)}).fetchone() if counts else None
    return int(found[0]) if found else 0


def _is_nested(kind: str) -> bool:
    return kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION"))


def _nul(kind: str) -> str:
    return r"'\u0000'" if _is_nested(kind) else "chr(0)"


def _without_nuls(column: str, kind: str) -> str:
    """SQL for a column as text without NULs."""
    if _is_nested(kind):
        return f"regexp_replace({_as_text(column, kind)}, '{ESCAPES.pattern}', '\\1', 'g')"
    return f"replace({_as_text(column, kind)}, chr(0), '')"


def _as_text(column: str, kind: str) -> str:
    """SQL for a column as text: nested values as JSON, moments as ISO 8601, truth values as TRUE and FALSE."""
    quoted = '"' + column.replace('"', '""') + '"'
    if _is_nested(kind):
        return f"to_json({quoted})::VARCHAR"
    if kind.startswith("TIMESTAMP"):
        return f"replace({quoted}::VARCHAR, ' ', 'T')"
    if kind == "BOOLEAN":
        return f"upper({quoted}::VARCHAR)"
    if kind in ("DOUBLE", "FLOAT"):
        return f"regexp_replace({quoted}::VARCHAR, '\\.0$', '')"
    return f"{quoted}::VARCHAR"
