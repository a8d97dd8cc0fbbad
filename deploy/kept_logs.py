"""Logs that programs go on writing to are kept short: NAME.log, and a few older ones, NAME.1.log the newest.

A program holds its file open for as long as it runs, to append to it. So what is there is copied, and the file emptied
under it; a line that is written between the last copy and that, microseconds later, is lost. Killed in between, what
was copied stands twice.
"""

from __future__ import annotations

from pathlib import Path

LIMIT = 10_000_000  # bytes
OLDER = 4  # files
PIECE = 1 << 20


def rotate(log: Path, *, limit: int = LIMIT, older: int = OLDER) -> bool:
    """Where the log is longer than `limit`; whether it was. Raises OSError."""
    if not log.exists() or log.stat().st_size <= limit:
        return False
    fresh = log.with_suffix(".new.log")
    try:
        with log.open("r+b") as source, fresh.open("wb") as copy:
            fresh.chmod(log.stat().st_mode & 0o777)
            while piece := source.read(PIECE):
                copy.write(piece)
            for number in range(older - 1, 0, -1):
                if (one := log.with_suffix(f".{number}.log")).exists():
                    one.replace(log.with_suffix(f".{number + 1}.log"))
            copy.write(source.read())  # what came meanwhile
            copy.flush()
            fresh.replace(log.with_suffix(".1.log"))
            source.truncate(0)
    except OSError:
        fresh.unlink(missing_ok=True)  # half a copy on a full disk
        raise
    return True
