"""Run as a program of its own: reads one sheet of a workbook and writes its rows as JSON lines to standard output.

A damaged or hostile workbook can make the reader ask for any amount of memory or panic; here that ends this process
only. Arguments: path, sheet name or "", memory in bytes. Writes {"sheets": [...], "read": name}, then [line, cells]...
On failure: exit code 2, the reason on standard error. Imports nothing of the project, to start in a blink.
"""

import json
import resource
import sys
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta

from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    WorksheetNotFound,
)

Value = int | float | str | bool | time | date | datetime | timedelta


def main(path: str, wanted: str, memory: str) -> int:
    """Write the sheet; returns the exit code."""
    resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        with CalamineWorkbook.from_path(path) as workbook:
            write_sheet(workbook, wanted)
    except WorksheetNotFound:
        print(f"it has no sheet called '{wanted}'", file=sys.stderr)
        return 2
    except PasswordError:
        print("it is protected by a password", file=sys.stderr)
        return 2
    except (CalamineError, ValueError, OverflowError, MemoryError) as error:
        print(str(error) or type(error).__name__, file=sys.stderr)
        return 2
    return 0


def write_sheet(workbook: CalamineWorkbook, wanted: str) -> None:
    """Choose the sheet, then write head and rows."""
    names = [found.name for found in workbook.sheets_metadata if found.typ == SheetTypeEnum.WorkSheet]
    read, rows = chosen_sheet(workbook, wanted, names)
    out = sys.stdout
    out.write(json.dumps({"sheets": names, "read": read}) + "\n")
    for line, cells in rows:
        texts = [as_text(cell) for cell in cells]
        if any(texts):
            out.write(json.dumps([line, texts], ensure_ascii=True) + "\n")


def chosen_sheet(
    workbook: CalamineWorkbook, wanted: str, names: list[str]
) -> tuple[str, Iterator[tuple[int, list[Value]]]]:
    """The sheet asked for, else the first that holds anything."""
    for name in [wanted] if wanted else names:
        sheet = workbook.get_sheet_by_name(name)
        if wanted or sheet.height:
            return name, numbered_rows(sheet)
    return (names[0] if names else ""), iter(())


def numbered_rows(sheet: CalamineSheet) -> Iterator[tuple[int, list[Value]]]:
    """Rows with their number in the sheet, from 1."""
    return enumerate(sheet.iter_rows(), 1)


def as_text(value: Value) -> str:
    """A cell as a person would type it: ISO dates, whole numbers without a fraction, TRUE and FALSE."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time(0) else value.isoformat(sep="T")
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
