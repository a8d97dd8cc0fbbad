"""Parquet: read by DuckDB, every column as text."""

from pathlib import Path

import duckdb

from pipelines.contact_files.headers import unique_names
from pipelines.contact_files.opened_file import UnreadableFile, first_line, is_disk_full
from pipelines.contact_files.store import Store


def read_parquet(store: Store, path: Path, name: str) -> tuple[str, ...]:
    """Read the file into the store, a row's line being its position from 1. Returns the headers.

    Raises UnreadableFile when it is cut off or damaged.
    """
    connection = store.connection
    try:
        columns = connection.execute("DESCRIBE SELECT * FROM read_parquet($path)", {"path": str(path)}).fetchall()
        cells = ", ".join(f"{_as_text(column[0], column[1])} AS c{number}" for number, column in enumerate(columns))
        connection.execute(f"CREATE TABLE cells AS SELECT {cells} FROM read_parquet($path)", {"path": str(path)})
    except duckdb.Error as error:
        if is_disk_full(error):
            raise
        raise UnreadableFile(f"{name} is cut off or damaged ({first_line(error)}): export it again.") from error
    connection.execute("CREATE VIEW raw AS SELECT rowid + 1 AS line, * FROM cells")
    return unique_names([column[0] for column in columns])


def _as_text(column: str, kind: str) -> str:
    """SQL for a column as text: nested values as JSON, moments as ISO 8601, truth values as TRUE and FALSE."""
    quoted = '"' + column.replace('"', '""') + '"'
    if kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION")):
        return f"to_json({quoted})::VARCHAR"
    if kind.startswith("TIMESTAMP"):
        return f"replace({quoted}::VARCHAR, ' ', 'T')"
    if kind == "BOOLEAN":
        return f"upper({quoted}::VARCHAR)"
    if kind in ("DOUBLE", "FLOAT"):
        return f"regexp_replace({quoted}::VARCHAR, '\\.0$', '')"
    return f"{quoted}::VARCHAR"
