"""The rows of an import that did not come in: as they are, counted by reason, and as a CSV file that one can mend."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from models import audit, csv_lines, import_places, imports
from models.audit import Event
from models.database import reading, writing
from models.errors import NotAllowed
from models.import_places import BLOCK, Of
from models.imports import Import, ImportReject
from models.permissions import Actor

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
    """The rows of that kind (rejected | duplicate) in file order, streamed. Raises NotAllowed, also where the values of
    the file are hidden, and NotFound."""
    _with_cells(import_id, by)
    with reading() as session:
        yield from session.scalars(_in_order(import_id, kind).execution_options(yield_per=1000))


def page(
    import_id: int, *, number: int, size: int, kind: str = "rejected", reason: int | None = None, by: Actor
) -> tuple[list[ImportReject], int]:
    """The rows of page `number` (from 1), and how many there are in all, as the plan counted them; those of one
    `reason` alone, which is its place among `reasons`.

    Where the values of the file are hidden: without value, cells, contacts and other line, and the reason in general
    words. Raises NotAllowed, NotFound.
    """
    found = imports.get(import_id, by=by)
    total = found.rejected if kind == "rejected" else found.duplicates
    if reason is not None:
        counted = (found.reasons or {}).get(kind, [])
        total = counted[reason][1] if reason < len(counted) else 0
    with reading() as session:
        listed = _page(session, import_id, kind, reason, skip=(number - 1) * size, most=size)
        session.expunge_all()
    if imports.why_hidden(found, by=by) or not imports.sees_all(by):
        for row in listed:
            row.contacts = row.other_line = None
    if imports.why_hidden(found, by=by):
        for row in listed:
            row.value, row.cells, row.reason = None, [], in_general(row.reason)
    return listed, total


def counted(import_id: int) -> str:
    """SELECT of (what, block, number) for import_places: of each kind, and of each of its commonest reasons."""
    return f"""SELECT kind || coalesce(':' || reason_number, '') AS what, line / {BLOCK} AS block, count(*) AS number
        FROM import_rejects WHERE import_id = {import_id:d}
        GROUP BY GROUPING SETS ((kind, line / {BLOCK}), (kind, reason_number, line / {BLOCK}))
        HAVING GROUPING(reason_number) = 1 OR reason_number IS NOT NULL"""


def _page(
    session: Session, import_id: int, kind: str, reason: int | None, *, skip: int, most: int
) -> list[ImportReject]:
    what = kind if reason is None else f"{kind}:{reason}"
    found = import_places.stretch(session, import_id, Of.REJECTS, what, skip=skip, most=most)
    wanted = _in_order(import_id, kind)
    if found.blocks:
        ends = (found.blocks[0] * BLOCK, (found.blocks[-1] + 1) * BLOCK)
        wanted = wanted.where(ImportReject.line >= ends[0], ImportReject.line < ends[1])
        wanted = wanted.where((ImportReject.line // BLOCK).in_(found.blocks))
        skip = found.skip
    if reason is not None:
        wanted = wanted.where(ImportReject.reason_number == reason)
    return list(session.scalars(wanted.limit(most).offset(skip)))


def reasons(import_id: int, *, kind: str = "rejected", by: Actor) -> list[Reason]:
    """Why rows of that kind did not come in, the MOST_REASONS commonest reasons first; what differs from row to row is
    “…”. They are counted with the plan; nothing for one that an older version made. Raises NotAllowed, NotFound."""
    counted = imports.get(import_id, by=by).reasons or {}
    return [Reason(sentence, number) for sentence, number in counted.get(kind, [])]


def in_general(reason: str) -> str:
    """The reason without what is particular to its row, as `reasons` counts it."""
    for pattern, shown in GENERAL:
        reason = re.sub(pattern, shown, reason)
    return reason


def as_csv(import_id: int, *, by: Actor, kind: str = "rejected", noted: bool = True) -> Iterator[str]:
    """The lines of a CSV file: the header, then each row with line, column, value and reason before its own cells.

    A record that could not be read stands whole in its first cell. Cells that a spreadsheet would run as a formula get
    an apostrophe, which the next import takes away again. `noted`, that `by` took them is written to the audit log.
    Raises NotAllowed, also where the values of the file are hidden, and NotFound.
    """
    found = _with_cells(import_id, by)
    if noted:
        number = found.rejected if kind == "rejected" else found.duplicates
        with writing(by) as session:
            audit.write(session, Event.IMPORT_ROWS_DOWNLOADED, f"import {import_id}", by=by, kind=kind, rows=number)
    return _lines(import_id, (found.opened or {}).get("headers", []), kind, by)


def _with_cells(import_id: int, by: Actor) -> Import:
    found = imports.get(import_id, by=by)
    if why := imports.why_hidden(found, by=by):
        raise NotAllowed(why)
    return found


def _lines(import_id: int, headers: list[str], kind: str, by: Actor) -> Iterator[str]:
    yield csv_lines.line([*HEADERS, *headers])
    for row in rows(import_id, by=by, kind=kind):
        account = (str(row.line), row.header or "", row.value or "", row.reason)
        cells = [cell or "" for cell in row.cells]
        yield csv_lines.line([*account, *cells, *[""] * (len(headers) - len(cells))])


def _in_order(import_id: int, kind: str) -> Select[ImportReject]:
    wanted = select(ImportReject).where(ImportReject.import_id == import_id, ImportReject.kind == kind)
    return wanted.order_by(ImportReject.line, ImportReject.id)
