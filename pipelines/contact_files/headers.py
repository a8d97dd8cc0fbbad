"""Where a table's header stands, and the names its columns get."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

MOST_COLUMNS = 16_000
LOOK_AHEAD = 30

EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
URL = re.compile(r"(https?://|www\.)\S+", re.IGNORECASE)
NUMBER = re.compile(r"[-+'$€£]*\d[\d\s.,]*%?")
YEAR = re.compile(r"(19|20)\d\d")
DATE = re.compile(r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}([T ][\d:.+Z -]*)?|\d{1,2}:\d{2}(:\d{2})?")
PHONE = re.compile(r"'?\+?\(?\d[\d\s().-]{6,}(x\d+)?")


@dataclass(frozen=True)
class Record:
    """One record of a sample: its first and last physical line (from 1) and its cells."""

    line: int
    last_line: int
    cells: Sequence[str]


@dataclass(frozen=True)
class Header:
    """The column names, the header's first line (0 without header) and the first line of data."""

    names: tuple[str, ...]
    line: int
    data_line: int
    notes: tuple[str, ...]


def find_header(records: Sequence[Record], *, usual: int, what: str = "line") -> Header:
    """Choose the header among the first records of a file or sheet.

    `usual` is the number of cells that rows have; `what` names the file's lines in notes.
    """
    at = _header_index(records, usual)
    record = records[at]
    notes = _skipped(records, at, what)
    if any(holds_data(cell) for cell in record.cells):
        width = max(usual, len(_trimmed(record.cells)))
        note = f"{what.capitalize()} {record.line} holds data where labels would stand: the columns are numbered."
        return Header(_numbered(width), 0, record.line, (*notes, note))
    named = len(_trimmed(record.cells))
    width = max(named, _filled_width(records[at + 1 :], usual))
    cells = [*record.cells[:width], *[""] * (width - len(record.cells))]
    if width > named > 0:
        notes = (*notes, f"The header names {named} columns and the rows have {width}: the others are called Column N.")
    return Header(unique_names(cells), record.line, record.last_line + 1, notes)


def _header_index(records: Sequence[Record], usual: int) -> int:
    """The first record that is filled like the rows below; titles and remarks above fill a cell or two."""
    needed = usual if usual <= 2 else usual // 2 + 1
    for index, record in enumerate(records[:LOOK_AHEAD]):
        comment = record.cells[0].lstrip().startswith("#") and len(record.cells) != usual
        if not comment and sum(1 for cell in record.cells if cell.strip()) >= needed:
            return index
    return 0


def _filled_width(records: Sequence[Record], usual: int) -> int:
    """The width of rows of usual length, without cells at the end that are empty in all of them."""
    return max((len(_trimmed(record.cells)) for record in records if len(record.cells) == usual), default=0)


def _trimmed(cells: Sequence[str]) -> Sequence[str]:
    end = len(cells)
    while end and not cells[end - 1].strip():
        end -= 1
    return cells[:end]


def _skipped(records: Sequence[Record], at: int, what: str) -> tuple[str, ...]:
    count = records[at].line - 1
    if count == 0:
        return ()
    subject = f"1 {what} before the header was" if count == 1 else f"{count} {what}s before the header were"
    return (f"{subject} skipped.",)


def holds_data(cell: str) -> bool:
    """Whether a cell is an e-mail address, URL, date, phone or number, which no label is. Years label columns."""
    text = cell.strip()
    if not text or len(text) > 2000 or YEAR.fullmatch(text):
        return False
    return any(pattern.fullmatch(text) for pattern in (EMAIL, URL, NUMBER, DATE, PHONE))


def unique_names(cells: Sequence[str]) -> tuple[str, ...]:
    """Trimmed labels; the second "Email" becomes "Email (2)", an empty one "Column 3"."""
    taken: set[str] = set()
    copies: dict[str, int] = {}
    names = []
    for number, cell in enumerate(cells, 1):
        label = " ".join(cell.replace("\ufeff", "").replace("\0", "").split()) or f"Column {number}"
        name = label
        while name in taken:
            copies[label] = copies.get(label, 1) + 1
            name = f"{label} ({copies[label]})"
        taken.add(name)
        names.append(name)
    return tuple(names)


def _numbered(width: int) -> tuple[str, ...]:
    return tuple(f"Column {number}" for number in range(1, width + 1))
