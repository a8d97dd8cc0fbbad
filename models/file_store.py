"""Places that hold files: a folder of the server, or a prefix in S3. The same calls, and the same sentences, for both.

Only what lies directly in the place is seen: neither what is below it nor what begins with a dot, which is where others
leave what they have not finished. S3 is loaded only for an s3:// address.
"""

import errno
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from models import file_places
from models.disk_space import NoRoom
from models.errors import Conflict, InvalidInput, NotFound, Unavailable

PART = ".appointment360-part"
PIECE = 1024 * 1024
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_HARD_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class Refused(Unavailable):
    """The system or the store does not let this program read or write there."""


@dataclass(frozen=True)
class Found:
    """A file of a place. `version` changes when it is written again: of a folder's the time in nanoseconds and the
    number of the file, of S3's the ETag."""

    name: str
    size: int  # bytes
    modified: datetime
    version: str


@dataclass(frozen=True)
class Fetched:
    """`version` is the file's when the last byte was read; None where that cannot be told."""

    sha256: str
    size: int  # bytes
    version: str | None = None


class Place(Protocol):
    address: str

    def files(self) -> Iterator[Found]:
        """By name, in the order of code points; read as they are asked for. Raises NotFound, Refused, Unavailable."""

    def fetch(self, name: str, to: Path) -> Fetched:
        """Copy the file `name` to the path `to`, whole or not at all. Raises NotFound, Refused, NoRoom, Unavailable."""

    def put(self, path: Path, name: str, *, replace: bool = False, private: bool = False) -> str:
        """Copy the file at `path` into the place as `name`, whole or not at all; returns its address. In a folder this
        system user alone reads what is `private`.

        Raises Conflict where there is one of that name and it is not to be replaced, InvalidInput for a name with a
        slash, NotFound, Refused, NoRoom, Unavailable.
        """

    def remove(self, name: str) -> None:
        """Delete the file `name`, and what unfinished puts of that name left; nothing where there is none.

        Raises NotFound (the place), Refused, Unavailable.
        """


def place(address: str) -> Place:
    """The place at the path of a folder or at s3://BUCKET/PREFIX. Raises InvalidInput; whether it is there is seen when
    it is used."""
    kept = file_places.checked(address)
    if not file_places.is_s3(kept):
        return Folder(kept)
    from models.s3_store import Prefix

    return Prefix(kept)


def file_name(name: str) -> str:
    """The name, where it is one of a file directly in a place. Raises InvalidInput."""
    if not name or name.startswith(".") or any(sign in name for sign in "/\\\0"):
        raise InvalidInput(f"“{name}” is no name for a file: choose one without slashes and without a dot before it.")
    return name


class Folder:
    """A folder that this machine reaches. Links in it are not followed: they could lead out of it."""

    def __init__(self, path: str) -> None:
        self.address = path
        self.path = Path(path)

    def files(self) -> Iterator[Found]:
        with self._sentences("read"):
            names = sorted(entry.name for entry in os.scandir(self.path) if entry.is_file(follow_symlinks=False))
        for name in names:
            if name.startswith("."):
                continue
            with suppress(FileNotFoundError), self._sentences("read"):  # it was taken away since
                yield self._found(name, (self.path / name).lstat())

    def fetch(self, name: str, to: Path) -> Fetched:
        source = self.path / file_name(name)
        with self._opened(source) as file, beside(to) as part:
            digest, size = hashlib.sha256(), 0
            with part.open("wb") as copy:
                while piece := self._piece(file, name):
                    digest.update(piece)
                    size += len(piece)
                    with _written(to):
                        copy.write(piece)
                version = _version(os.fstat(file))
                with _written(to):
                    _to_disk(copy.fileno())
            with _written(to):
                part.replace(to)
        return Fetched(digest.hexdigest(), size, version)

    def put(self, path: Path, name: str, *, replace: bool = False, private: bool = False) -> str:
        target = self.path / file_name(name)
        if not self.path.is_dir():
            raise self._missing()
        with _written(target):
            if not replace and target.exists():
                raise taken(name, self.address)
        with _source(path) as source, beside(target, private=private) as part, _written(target):
            with part.open("wb") as copy:
                while piece := source.read(PIECE):
                    copy.write(piece)
                _to_disk(copy.fileno())
            if replace:
                part.replace(target)
            else:
                _link(part, target, self.address)
        return str(target)

    def remove(self, name: str) -> None:
        with self._sentences("deleted"):
            left = [one for one in self.path.glob(f".{name[:60]}.*{PART}") if one.is_file()]
            for one in (self.path / file_name(name), *left):
                one.unlink(missing_ok=True)

    def _found(self, name: str, seen: os.stat_result) -> Found:
        modified = datetime.fromtimestamp(seen.st_mtime, UTC)
        return Found(name, seen.st_size, modified, _version(seen))

    @contextmanager
    def _opened(self, source: Path) -> Iterator[int]:
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with self._sentences("read", source.name):
            file = os.open(source, flags)
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise InvalidInput(f"{source.name} in {self.address} is no file: it cannot be read.")
            yield file
        finally:
            os.close(file)

    def _piece(self, file: int, name: str) -> bytes:
        with self._sentences("read", name):
            return os.read(file, PIECE)

    @contextmanager
    def _sentences(self, deed: str, name: str | None = None) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, NotADirectoryError) as error:
            if name is None and self.path.is_dir():
                raise  # one file of it
            raise (no_file(name, self.address) if name and self.path.is_dir() else self._missing()) from error
        except OSError as error:
            raise _said(error, str(self.path / name) if name else self.address, deed) from error

    def _missing(self) -> NotFound:
        return NotFound(f"There is no folder {self.address}: make it, or name another one.")


def _version(seen: os.stat_result) -> str:
    return f"{seen.st_mtime_ns}-{seen.st_ino}"


def taken(name: str, address: str) -> Conflict:
    return Conflict(f"{name} is in {address} already, and was left as it is: choose another name, or remove it first.")


def no_file(name: str, address: str) -> NotFound:
    return NotFound(f"There is no file {name} in {address} any more: look there, and try again.")


@contextmanager
def beside(target: Path, *, private: bool = False) -> Iterator[Path]:
    """A file to write, next to its place, which this system user alone reads where it is `private`; what was not moved
    there by the end is deleted. Raises as `fetch` does."""
    with _written(target):
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name[:60]}.", suffix=PART, dir=target.parent)
        os.close(descriptor)
    part = Path(name)
    try:
        if os.name == "posix" and not private:
            part.chmod(0o666 & ~_umask())
        yield part
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _source(path: Path) -> Iterator[BinaryIO]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror or error}. Make it again.") from error
    with file:
        yield file


@contextmanager
def _written(target: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound(f"There is no folder {target.parent}: make it, or name another one.") from error
    except OSError as error:
        raise _said(error, str(target), "written") from error


def _said(error: OSError, what: str, deed: str) -> Unavailable:
    if error.errno in DISK_FULL:
        return NoRoom(f"The disk is full: {what} was not written. Free some space and try again.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return Refused(f"{what} may not be {deed} by this program: let its system user do so, or name another place.")
    return Unavailable(f"{what} could not be {deed}: {error.strerror or error}. Look at the disk, and try again.")


def _link(part: Path, target: Path, address: str) -> None:
    """Give the finished file its name, unless somebody took it meanwhile: a rename would replace theirs."""
    try:
        os.link(part, target)
    except FileExistsError as error:
        raise taken(target.name, address) from error
    except OSError as error:
        if error.errno not in NO_HARD_LINKS:
            raise
        if target.exists():  # on disks without links somebody who comes in this very moment loses
            raise taken(target.name, address) from error
        part.replace(target)


def _to_disk(file: int) -> None:
    os.fsync(file)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
