"""Lists that belong to an import, written to a file: the rows that it refused, the contacts that its undo left."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from models import import_kept, import_rejects, imports
from models.errors import Unavailable
from models.permissions import Actor, Permission, require


def write_rejects(import_id: int, target: Path | TextIO, *, by: Actor, kind: str = "rejected") -> int:
    """Write the rows of that kind (rejected | duplicate) as import_rejects.as_csv makes them; returns their number.

    Raises NotAllowed, NotFound, Unavailable (the disk).
    """
    require(by, Permission.IMPORTS_RUN)
    imports.get(import_id, by=by)
    return _written(target, lambda: import_rejects.as_csv(import_id, by=by, kind=kind))


def write_kept(import_id: int, target: Path | TextIO, *, by: Actor) -> int:
    """Write the contacts that the last undo left as they were, as import_kept.as_csv makes them; returns the number of
    lines. Raises NotAllowed, NotFound, Unavailable (the disk)."""
    require(by, Permission.IMPORTS_RUN)
    imports.get(import_id, by=by)
    return _written(target, lambda: import_kept.as_csv(import_id, by=by))


def _written(target: Path | TextIO, lines: Callable[[], Iterator[str]]) -> int:
    if not isinstance(target, Path):
        return _write(target, lines())
    try:
        # Excel takes UTF-8 for what it is only after a byte order mark; a pipe is for programs, and has none.
        with target.open("w", encoding="utf-8-sig", newline="") as file:
            return _write(file, lines())
    except OSError as error:
        raise Unavailable(f"{target} could not be written: {error.strerror}.") from error


def _write(file: TextIO, lines: Iterator[str]) -> int:
    written = -1  # the header is no row
    for line in lines:
        file.write(line)
        written += 1
    return written
