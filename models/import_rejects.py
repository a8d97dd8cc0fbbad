"""The rows of an import that did not come in: as they are, counted by reason, and as a CSV file that one can mend."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Select, select

from models import imports
from models.database import reading
from models.imports import ImportReject
from models.permissions import Actor
from models.spreadsheet_formulas import marked

# The columns that a file of rejects has before its own: a mended one comes in without them.
HEADERS = ("Rejected line", "Rejected column", "Rejected value", "Rejected reason")
KINDS = ("rejected", "duplicate")
# What differs between reasons of one kind, and what stands for it: values in quotes, what a library says after a second
# colon or in brackets, and the numbers of lines and contacts. Python and DuckDB read them alike.
GENERAL = (
    (r"(?s)“.*”", "…"),
    (r"(?s)^([^:]*:[^:]*):\s.*$", r"\1: …"),
    (r"(?s)\(.*\)", "(…)"),
    (r"([Ll]ine |number )[0-9]+", r"\1…"),
)
MOST_REASONS = 20  # of a kind


@dataclass(frozen=True)
class Reason:
    """Why rows did not come in, in words that fit all of them, and how many there are."""

    sentence: str
    rows: int


def rows(import_id: int, *, by: Actor, kind: str = "rejected") -> Iterator[ImportReject]:
    """The rows of that kind (rejected | duplicate) in file order, streamed. Raises NotAllowed, NotFound."""
    imports.get(import_id, by=by)
    with reading() as session:
        yield from session.scalars(_in_order(import_id, kind).execution_options(yield_per=1000))


def page(
    import_id: int, *, number: int, size: int, kind: str = "rejected", by: Actor
) -> tuple[list[ImportReject], int]:
    """The rows of page `number` (from 1), and how many there are in all, as the plan counted them. Raises NotAllowed,
    NotFound."""
    found = imports.get(import_id, by=by)
    with reading() as session:
        listed = session.scalars(_in_order(import_id, kind).limit(size).offset((number - 1) * size))
        return list(listed), found.rejected if kind == "rejected" else found.duplicates


def reasons(import_id: int, *, kind: str = "rejected", by: Actor) -> list[Reason]:
    """Why rows of that kind did not come in, the MOST_REASONS commonest reasons first; what differs from row to row is
    “…”. They are counted with the plan; nothing for one that an older version made. Raises NotAllowed, NotFound."""
    counted = imports.get(import_id, by=by).reasons or {}
    return [Reason(sentence, number) for sentence, number in counted.get(kind, [])]


def as_csv(import_id: int, *, by: Actor, kind: str = "rejected") -> Iterator[str]:
    """The lines of a CSV file: the header, then each row with line, column, value and reason before its own cells.

    A record that could not be read stands whole in its first cell. Cells that a spreadsheet would run as a formula get
    an apostrophe, which the next import takes away again. Raises NotAllowed, NotFound.
    """
    headers = (imports.get(import_id, by=by).opened or {}).get("headers", [])
    writer = csv.writer(_Lines())
    yield writer.writerow([*HEADERS, *map(marked, headers)])
    for row in rows(import_id, by=by, kind=kind):
        account = (str(row.line), row.header or "", row.value or "", row.reason)
        cells = [cell or "" for cell in row.cells]
        yield writer.writerow([marked(cell) for cell in (*account, *cells, *[""] * (len(headers) - len(cells)))])


class _Lines:
    """Where csv.writer writes to: its writerow then gives the line."""

    def write(self, line: str) -> str:
        return line


def _in_order(import_id: int, kind: str) -> Select[ImportReject]:
    wanted = select(ImportReject).where(ImportReject.import_id == import_id, ImportReject.kind == kind)
    return wanted.order_by(ImportReject.line, ImportReject.id)
