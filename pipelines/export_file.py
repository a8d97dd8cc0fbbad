"""A file that appears whole or not at all: written under another name beside its place, and moved when it is done."""

import errno
import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from models.errors import InvalidInput, Unavailable

if sys.platform != "win32":
    import fcntl

SUFFIX = ".appointment360-part"
PIECE = 1024 * 1024
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Written:
    """A file open for writing at its temporary name, and the hash of what went through `write`."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.file, self.path = file, path
        self._hash, self._hashed = hashlib.sha256(), 0

    def write(self, data: bytes) -> None:
        """For formats that only append. Hashing meanwhile costs nothing: the database is what one waits for."""
        self.file.write(data)
        self._hash.update(data)
        self._hashed += len(data)

    def sealed(self) -> tuple[int, str]:
        """Bring all to the disk; its bytes and SHA-256."""
        self.file.flush()
        os.fsync(self.file.fileno())
        size = self.path.stat().st_size
        if self._hashed == size:
            return size, self._hash.hexdigest()
        with self.path.open("rb") as whole:  # formats that seek back: archives, Parquet
            return size, hashlib.file_digest(whole, "sha256").hexdigest()

    def move_to(self, target: Path) -> None:
        """Replaces what was there, at once."""
        self.path.replace(target)
        if sys.platform != "win32":
            folder = os.open(target.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


@contextmanager
def beside(target: Path) -> Iterator[Written]:
    """Yields the file to write; whatever was not moved to its place by the end is deleted.

    Raises InvalidInput where the folder cannot be written to, Unavailable when the disk is full.
    """
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name[:80]}.", suffix=SUFFIX, dir=target.parent)
    except OSError as error:
        raise InvalidInput(f"{target} cannot be written: {error.strerror}.") from error
    path = Path(name)
    try:
        with disk_named(target), os.fdopen(descriptor, "w+b", buffering=PIECE) as file:
            _mark_in_use(descriptor)
            path.chmod(0o666 & ~_umask())
            yield Written(file, path)
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def disk_named(target: Path) -> Iterator[None]:
    """Raises Unavailable for a full or failing disk, with what to do."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # not the disk: a library's own error in the dress of one
            raise
        if error.errno in DISK_FULL:
            message = f"The disk is full: {target} was not written. Free some space and export again."
        else:
            message = f"{target} could not be written: {error.strerror}."
        raise Unavailable(message) from error


def sweep(folder: Path, pattern: str = "*") -> list[Path]:
    """Delete what killed exports left in `folder`: the system has dropped the lock of a process that is gone."""
    gone = []
    for path in folder.glob(f"{pattern}{SUFFIX}"):
        if _is_abandoned(path):
            path.unlink(missing_ok=True)
            gone.append(path)
    return gone


def _mark_in_use(descriptor: int) -> None:
    if sys.platform != "win32":
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_abandoned(path: Path) -> bool:
    if sys.platform == "win32":
        return False  # without such locks nobody can tell; there an open file cannot be deleted anyway
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
