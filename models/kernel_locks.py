"""File locks that the kernel releases when their holder dies, kill -9 included.

No lock library is used: one of these locks must be inherited by the server's processes and outlive the process that
took it. The libraries unlock when they are done, which takes the lock from the heirs, too; here it is only closed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    import fcntl


@contextmanager
def alone_in(folder: Path, *, waits: bool = True) -> Iterator[None]:
    """Hold the exclusive lock on a folder. Raises BlockingIOError where another process holds it and this one does not
    wait. Windows has no such lock: nothing is held there."""
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if waits else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the exclusive lock on `path`; waits for it as long as it takes."""
    descriptor = _opened(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def shared(path: Path) -> int:
    """A descriptor with a shared lock on `path`, kept until it is closed."""
    descriptor = _opened(path)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def taken_if_free(path: Path) -> int | None:
    """A descriptor with the exclusive lock on `path`, or None while others hold one."""
    descriptor = _opened(path)
    if turned_exclusive(descriptor):
        return descriptor
    os.close(descriptor)
    return None


def turned_exclusive(descriptor: int) -> bool:
    """Whether nobody else holds a lock; then the one of `descriptor` is exclusive, else it may be lost."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
