"""Folders below the home for what is read back from a backup: whoever works in one holds it by a lock of the system's,
which ends with the process, so that those that killed ones left are known, also where no database is."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models import kernel_locks
from models.settings import home
from pipelines import backup_store

PREFIX = "drill-"


@contextmanager
def folder() -> Iterator[Path]:
    """A new folder, removed at the end. Raises NoRoom, Refused, Unavailable."""
    below = home() / "backup-work"
    with backup_store.disk(below):
        below.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(prefix=PREFIX, dir=below) as made,
            kernel_locks.alone_in(Path(made), waits=False),
        ):
            yield Path(made)


def clear_left() -> None:
    """Remove those that nobody holds."""
    for left in (home() / "backup-work").glob(f"{PREFIX}*"):
        try:
            with kernel_locks.alone_in(left, waits=False):
                shutil.rmtree(left, ignore_errors=True)
        except OSError:
            continue  # somebody works there
