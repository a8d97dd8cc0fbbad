"""The rows of an import, written to files: those that it refused, those behind its other numbers, and the
contacts that its undo left."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TextIO

from models import import_changes, import_kept, import_rejects, imports
from models.errors import Unavailable
from models.import_changes import Kind
from models.permissions import Actor, Permission, require


def write_rejects(import_id: int, target: Path | TextIO, *, by: Actor, kind: str = "rejected") -> int:
    """Write the rows of that kind (rejected | duplicate) as import_rejects.as_csv makes them; returns their number.

    Raises NotAllowed, NotFound, Unavailable (the disk).
    """
    require(by, Permission.IMPORTS_RUN)
    return _written(import_id, target, partial(import_rejects.as_csv, import_id, by=by, kind=kind), by)


def write_changes(
    import_id: int, target: Path | TextIO, *, kind: Kind = Kind.UPDATED, changing: str | None = None, by: Actor
) -> int:
    """Write them as import_changes.as_csv makes them; returns the number of lines. Raises what that raises, and
    Unavailable (the disk)."""
    require(by, Permission.IMPORTS_RUN)
    lines = partial(import_changes.as_csv, import_id, kind=kind, changing=changing, by=by)
    return _written(import_id, target, lines, by)


def write_moved(import_id: int, target: Path | TextIO, *, by: Actor) -> int:
    """Write them as import_changes.moved_as_csv makes them; returns the number of lines. Raises what that raises, and
    Unavailable (the disk)."""
    require(by, Permission.IMPORTS_RUN)
    return _written(import_id, target, partial(import_changes.moved_as_csv, import_id, by=by), by)


def write_kept(import_id: int, target: Path | TextIO, *, by: Actor) -> int:
    """Write the contacts that the last undo left as they were, as import_kept.as_csv makes them; returns the number of
    lines. Raises NotAllowed, NotFound, Unavailable (the disk)."""
    require(by, Permission.IMPORTS_RUN)
    return _written(import_id, target, partial(import_kept.as_csv, import_id, by=by), by)


def _written(import_id: int, target: Path | TextIO, lines: Callable[[], Iterable[str]], by: Actor) -> int:
    if not isinstance(target, Path):
        return _write(lines(), target)
    imports.get(import_id, by=by)
    made = lines()  # what refuses them does so before a file is made
    try:
        # Excel takes UTF-8 for what it is only after a byte order mark; a pipe is for programs, and has none.
        with target.open("w", encoding="utf-8-sig", newline="") as file:
            return _write(made, file)
    except OSError as error:
        raise Unavailable(f"{target} could not be written: {error.strerror}.") from error


def _write(lines: Iterable[str], file: TextIO) -> int:
    written = -1  # the header is no row
    for line in lines:
        file.write(line)
        written += 1
    return written
