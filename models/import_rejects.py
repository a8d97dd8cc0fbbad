"""The rows of an import that did not come in: as they are, counted by reason, and as a CSV file that one can mend."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Select, func, select

from models import imports
from models.database import reading
from models.imports import ImportReject
from models.permissions import Actor, Permission, require
from models.spreadsheet_formulas import marked

# The columns that a file of rejects has before its own: a mended one comes in without them.
HEADERS = ("Rejected line", "Rejected column", "Rejected value", "Rejected reason")
KINDS = ("rejected", "duplicate")
# What differs between reasons of one kind, for Postgres: the value in quotes, and the numbers of lines and contacts.
PARTICULAR = r"“.*”|(?<=[Ll]ine |number )[0-9]+"


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
    """The rows of page `number` (from 1), and how many there are in all."""
    require(by, Permission.IMPORTS_RUN)
    with reading() as session:
        found = session.scalars(_in_order(import_id, kind).limit(size).offset((number - 1) * size))
        return list(found), session.scalar(_counted(import_id, kind)) or 0


def reasons(import_id: int, *, kind: str = "rejected", by: Actor) -> list[Reason]:
    """Why rows of that kind did not come in, the commonest reason first; what differs from row to row is “…”."""
    require(by, Permission.IMPORTS_RUN)
    general = func.regexp_replace(ImportReject.reason, PARTICULAR, "…", "g").label("general")
    counted = select(general, func.count()).where(ImportReject.import_id == import_id, ImportReject.kind == kind)
    with reading() as session:
        found = session.execute(counted.group_by(general).order_by(func.count().desc(), general))
        return [Reason(sentence, number) for sentence, number in found]


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


def _counted(import_id: int, kind: str) -> Select[int]:
    return select(func.count()).where(ImportReject.import_id == import_id, ImportReject.kind == kind)
