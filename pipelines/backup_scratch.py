"""Folders below the home for what is read back from a backup: whoever works in one holds it by a lock of the system's,
which ends with the process, so that those that killed ones left are known, also where no database is."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.settings import home
from pipelines import backup_store

if sys.platform != "win32":
    import fcntl

PREFIX = "drill-"


@contextmanager
def folder() -> Iterator[Path]:
    """A new folder, removed at the end. Raises NoRoom, Refused, Unavailable."""
    below = home() / "backup-work"
    with backup_store.disk(below):
        below.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=PREFIX, dir=below) as made, _held(Path(made)):
            yield Path(made)


def clear_left() -> None:
    """Remove those that nobody holds."""
    for left in (home() / "backup-work").glob(f"{PREFIX}*"):
        try:
            with _held(left):
                shutil.rmtree(left, ignore_errors=True)
        except OSError:
            continue  # somebody works there


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Raises OSError where another process holds it. Windows has no such lock: there open files cannot be removed."""
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
