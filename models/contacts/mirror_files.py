"""The files of mirrors, whosever they are; nothing of the engine is loaded for them.

Instances that share a home share the folder. Who chooses among the files, or removes some, does so alone: an instance
that has just let go of its own, or not yet taken it again, must find it there.
"""

import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path

from models import kernel_locks

if sys.platform != "win32":
    import fcntl

FILES = "*.duckdb"
SPILLED = ".spilled"  # instead of the other ending: what did not fit into the memory


def is_in_use(path: Path) -> bool:
    """By another process. Not to be asked of what this one has open: it would lose its lock."""
    if sys.platform == "win32":  # there open files cannot be removed
        return False
    with suppress(FileNotFoundError), path.open("r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # as DuckDB does
        except OSError:
            return True
    return False


def clear(folder: Path) -> None:
    """Remove what no process has open, by one that has none."""
    if folder.is_dir():
        with kernel_locks.alone_in(folder):
            for path in folder.glob(FILES):
                if not is_in_use(path):
                    remove(path)


def size(path: Path) -> int:
    """Bytes on the disk, with its log."""
    total = 0
    for one in (path, path.with_name(f"{path.name}.wal")):
        with suppress(FileNotFoundError):
            total += one.stat().st_size
    return total


def age(path: Path) -> float:
    """Seconds since it or its log was written; none where it is gone."""
    moments = [0.0]
    for one in (path, path.with_name(f"{path.name}.wal")):
        with suppress(FileNotFoundError):
            moments.append(one.stat().st_mtime)
    return time.time() - max(moments) if any(moments) else 0.0


def remove(path: Path) -> None:
    for one in (path, path.with_name(f"{path.name}.wal")):
        one.unlink(missing_ok=True)
    shutil.rmtree(path.with_suffix(SPILLED), ignore_errors=True)
