"""The rows that an import refused, as a CSV file that one can mend and import again."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from models import imports
from models.errors import Unavailable
from models.imports import ImportReject
from models.permissions import Actor
from pipelines.spreadsheet_formulas import marked
from pipelines.typed_rows import REJECT_HEADERS


def write_rejects(import_id: int, target: Path | TextIO, *, by: Actor, kind: str = "rejected") -> int:
    """Write the rows of that kind (rejected | duplicate) with line, column, value and reason before their own cells.

    Returns how many there are. A record that could not be read stands whole in its first cell. Cells that a
    spreadsheet would run as a formula get an apostrophe, which the next import takes away again. Raises NotAllowed,
    NotFound, Unavailable (the disk).
    """
    headers = (imports.get(import_id, by=by).opened or {}).get("headers", [])
    rows = imports.rejects(import_id, by=by, kind=kind)
    if not isinstance(target, Path):
        return _write(target, headers, rows)
    try:
        with target.open("w", encoding="utf-8", newline="") as file:
            return _write(file, headers, rows)
    except OSError as error:
        raise Unavailable(f"{target} could not be written: {error.strerror}.") from error


def _write(file: TextIO, headers: list[str], rows: Iterator[ImportReject]) -> int:
    writer = csv.writer(file)
    writer.writerow([*REJECT_HEADERS, *map(marked, headers)])
    written = 0
    for row in rows:
        account = (str(row.line), row.header or "", row.value or "", row.reason)
        cells = [cell or "" for cell in row.cells]
        writer.writerow([marked(cell) for cell in (*account, *cells, *[""] * (len(headers) - len(cells)))])
        written += 1
    return written
