"""XLSX, XLSB, XLS and ODS: one sheet, read by a child process that may fail without taking us along."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from models.import_progress import Step
from pipelines.contact_files.headers import LOOK_AHEAD, Header, Record, find_header, unique_names
from pipelines.contact_files.nuls import Nuls
from pipelines.contact_files.opened_file import UnreadableFile, disk_is_full, says_disk_full
from pipelines.contact_files.store import Store
from pipelines.interruptible import interruptible
from pipelines.watched import begin, place_in

CHILD = Path(__file__).with_name("workbook_child.py")
# A sheet of a million rows by forty columns takes about 3 GB in the reader.
MEMORY = 4 * 1024**3
SECONDS = 600
REASON_CUT = 300
# The child's exit code when it names what is wrong with the workbook; whatever else befalls it ends it otherwise.
REFUSED = 2
Row = tuple[int, list[str]]


@dataclass(frozen=True)
class SheetRead:
    """The header of the sheet that was read, and notes on it and on sheets that were not."""

    header: Header
    notes: tuple[str, ...]


def read_workbook(store: Store, path: Path, name: str, folder: Path, sheet: str | None) -> SheetRead:
    """Read one sheet of the workbook into the store: `sheet`, or the first with data.

    Raises UnreadableFile when the workbook is damaged, protected, too large, or has no such sheet, and NoRoom when the
    disk is full.
    """
    rows_file = folder / "rows.jsonl"
    begin(Step.OPEN)
    _run_child(path, name, rows_file, sheet)
    with rows_file.open(encoding="utf-8") as lines:
        begin(Step.OPEN, rows_file.stat().st_size, look=place_in(lines))
        nuls = Nuls()
        head = json.loads(nuls.without_escaped(lines.readline()))
        rows: Iterator[Row] = (json.loads(nuls.without_escaped(line)) for line in lines)
        header = _write_rows(store, name, rows)
    return SheetRead(header, (*_sheet_notes(head["sheets"], head["read"]), *header.notes, *nuls.notes))


def _run_child(path: Path, name: str, rows_file: Path, sheet: str | None) -> None:
    command = [sys.executable, str(CHILD), str(path), sheet or "", str(MEMORY)]
    with rows_file.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE) as child:
        try:
            with interruptible(child.kill):
                _, errors = child.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired as error:
            child.kill()
            sentence = (
                f"{name} took longer than {SECONDS // 60} minutes to read: save the sheet as CSV and upload that."
            )
            raise UnreadableFile(sentence) from error
        except BaseException:
            child.kill()
            raise
    if child.returncode:
        said = errors.decode("utf-8", "replace").strip()
        if child.returncode != REFUSED and says_disk_full(said):
            raise disk_is_full(name)
        raise UnreadableFile(_why(name, child.returncode, said))


def _why(name: str, code: int, said: str) -> str:
    """The sentence for a child that failed; one that died by a signal or a panic leaves no reason worth showing."""
    if "no sheet called" in said:
        return f"{name} cannot be read: {said}."
    if "password" in said.lower():
        return f"{name} is protected by a password: open it in Excel and save it without one."
    if code == REFUSED:
        reason = said.splitlines()[-1][:REASON_CUT] if said else "no reason given"
        return (
            f"{name} is damaged or no workbook ({reason}): open it in Excel, save it again, or save the sheet as CSV."
        )
    if "memory" in said.lower() or code < 0:
        return f"{name} asks for more memory than is allowed: save the sheet as CSV and upload that."
    return f"{name} is damaged: the reader gave up on it. Open it in Excel, save it again, or save the sheet as CSV."


def _write_rows(store: Store, name: str, rows: Iterator[Row]) -> Header:
    first = list(islice(rows, LOOK_AHEAD))
    if not first:
        raise UnreadableFile(f"{name} has no sheet with data in it: export the contacts again.")
    usual = max(sum(1 for cell in cells if cell) for _, cells in first)
    header = find_header([Record(line, line, cells) for line, cells in first], usual=usual, what="row")
    width = max(len(first[0][1]), len(header.names))
    store.create_raw(width)
    for line, cells in chain(first, rows):
        if line >= header.data_line:
            store.add(line, cells + [""] * (width - len(cells)), sum(map(len, cells)))
    store.finish_raw()
    # A sheet is as wide as its widest cell ever was: columns without label and content are no columns.
    width = store.drop_empty_columns(after=len(header.names))
    names = unique_names([*header.names, *[""] * (width - len(header.names))])
    return Header(names, header.line, header.data_line, header.notes)


def _sheet_notes(sheets: list[str], read: str) -> tuple[str, ...]:
    others = [sheet for sheet in sheets if sheet != read]
    if not others:
        return ()
    named = ", ".join(f"'{sheet}'" for sheet in others[:10]) + (", ..." if len(others) > 10 else "")
    verb = "other sheet was" if len(others) == 1 else "other sheets were"
    return (f"Sheet '{read}' was read; {len(others)} {verb} not: {named}.",)
