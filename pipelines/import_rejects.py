"""The rows that an import refused, written to a file."""

from pathlib import Path
from typing import TextIO

from models import import_rejects, imports
from models.errors import Unavailable
from models.permissions import Actor, Permission, require


def write_rejects(import_id: int, target: Path | TextIO, *, by: Actor, kind: str = "rejected") -> int:
    """Write the rows of that kind (rejected | duplicate) as import_rejects.as_csv makes them; returns their number.

    Raises NotAllowed, NotFound, Unavailable (the disk).
    """
    require(by, Permission.IMPORTS_RUN)
    if not isinstance(target, Path):
        return _write(import_id, target, by, kind)
    imports.get(import_id, by=by)  # before a file is made
    try:
        # Excel takes UTF-8 for what it is only after a byte order mark; a pipe is for programs, and has none.
        with target.open("w", encoding="utf-8-sig", newline="") as file:
            return _write(import_id, file, by, kind)
    except OSError as error:
        raise Unavailable(f"{target} could not be written: {error.strerror}.") from error


def _write(import_id: int, file: TextIO, by: Actor, kind: str) -> int:
    written = -1  # the header is no row
    for line in import_rejects.as_csv(import_id, by=by, kind=kind):
        file.write(line)
        written += 1
    return written
