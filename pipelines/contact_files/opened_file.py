"""What is known about a file once it is open, and the error for a file that cannot be opened."""

import errno
import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import duckdb

from models.disk_space import NoRoom
from models.errors import AppError


class UnreadableFile(AppError):
    """The file cannot become a table; the sentence names the cause and the way out."""


@dataclass(frozen=True)
class OpenedFile:
    """The account of one opened file; its cells are in the store's tables `raw` and `unreadable`."""

    name: str
    sha256: str
    bytes: int
    format: str
    encoding: str | None
    delimiter: str | None
    headers: tuple[str, ...]
    header_line: int
    rows: int
    notes: tuple[str, ...]

    def to_json(self) -> str:
        """Write it as the JSON object that `from_json` reads."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "OpenedFile":
        """Restore what `to_json` wrote."""
        fields = json.loads(text)
        return cls(**{**fields, "headers": tuple(fields["headers"]), "notes": tuple(fields["notes"])})


def read_opened(store: Path) -> OpenedFile:
    """Restore the OpenedFile from the store that `open_contact_file` wrote.

    Raises UnreadableFile when the store is missing or is not such a store.
    """
    with closing(_connection(store, partial(duckdb.connect, str(store), read_only=True))) as connection:
        return _account(store, connection)


@contextmanager
def connected(store: Path, connect: Callable[[], duckdb.DuckDBPyConnection]) -> Iterator[duckdb.DuckDBPyConnection]:
    """The store as `connect` opens it, closed at the end. Raises UnreadableFile as `read_opened` does."""
    with closing(_connection(store, connect)) as connection:
        _account(store, connection)
        yield connection


def _connection(store: Path, connect: Callable[[], duckdb.DuckDBPyConnection]) -> duckdb.DuckDBPyConnection:
    if not store.is_file():  # who connects to write would make one
        raise _damaged(store)
    try:
        return connect()
    except duckdb.Error as error:
        if is_disk_full(error):
            raise
        raise _damaged(store) from error


def _account(store: Path, connection: duckdb.DuckDBPyConnection) -> OpenedFile:
    try:
        found = connection.execute("SELECT opened FROM opened").fetchone()
    except duckdb.Error as error:
        raise _damaged(store) from error
    if found is None:
        raise UnreadableFile(f"The opened file {store.name} was not finished: upload the file again.")
    return OpenedFile.from_json(found[0])


def _damaged(store: Path) -> UnreadableFile:
    return UnreadableFile(f"The opened file {store.name} is missing or damaged: upload the file again.")


DISK_FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
SAYS_DISK_FULL = ("no space left", "file too large", "out-of-disk", "max_temp_directory_size", "disk quota")


@contextmanager
def plain_sentences(name: str) -> Iterator[None]:
    """Turn what the disk, the memory and DuckDB raise into UnreadableFile for the file called `name`."""
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            raise disk_is_full(name) from error
        raise UnreadableFile(f"{name} could not be read: {error.strerror or error}.") from error
    except MemoryError as error:
        raise UnreadableFile(f"There was not enough memory to open {name}: split the file and try again.") from error
    except duckdb.Error as error:
        if is_disk_full(error):
            raise disk_is_full(name) from error
        if isinstance(error, duckdb.OutOfMemoryException):
            sentence = f"{name} needs more memory than is allowed: split it into files with fewer columns or rows."
            raise UnreadableFile(sentence) from error
        raise UnreadableFile(f"{name} could not be stored: {first_line(error)}") from error


def disk_is_full(name: str) -> NoRoom:
    """The error for a disk without room for what `name` becomes: nothing is wrong with the file."""
    return NoRoom(f"The disk is full: there was no room to open {name}. Free some space and try again.")


def is_disk_full(error: duckdb.Error) -> bool:
    """Whether DuckDB failed because its file could not grow."""
    return says_disk_full(str(error))


def says_disk_full(text: str) -> bool:
    """Whether what DuckDB or another process said about its failure means that there was no room."""
    return any(sign in text.lower() for sign in SAYS_DISK_FULL)


def first_line(error: BaseException) -> str:
    """The first line of an exception's text, for use inside a sentence."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
