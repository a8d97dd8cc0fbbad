"""Where uploads and exports lie: below this host's home, or, with APPOINTMENT360_FILES, in S3, which all hosts share.

There each import and each export has a place of its own, and the database says what of it counts: an object that no row
names was left by a process that died, and goes with `clear_left`.
"""

import secrets
import shutil
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from models import disk_space, file_places
from models.errors import InvalidInput
from models.settings import home, settings

if TYPE_CHECKING:
    from models.s3_store import Prefix

IMPORTS, EXPORTS = "imports", "exports"
SCRATCH = "scratch"  # below the home: pieces on their way into the store
FORGOTTEN = timedelta(days=1)  # between an object and the row that names it lie seconds


def root() -> str | None:
    """The address of the shared store; None where files lie below the home. Raises InvalidInput."""
    chosen = settings().files
    if not chosen:
        return None
    address = file_places.checked(chosen)
    if not file_places.is_s3(address):
        raise InvalidInput("APPOINTMENT360_FILES takes s3://BUCKET/PREFIX; a folder is chosen by APPOINTMENT360_HOME.")
    return address


def are_shared() -> bool:
    """Whether new files go to a store that all hosts reach."""
    return root() is not None


def address(kind: str, number: int) -> str:
    """Where the import or export of that number keeps its files in the shared store."""
    return f"{root()}/{kind}/{number}"


def place(address: str) -> "Prefix":
    from models.s3_store import Prefix  # which takes a third of a second to load

    return Prefix(address)


def place_of(stored: str) -> tuple["Prefix", str]:
    """The place and the name of a file that is known by its whole address."""
    before, _, name = stored.rpartition("/")
    return place(before), name


def new_name(ending: str = "") -> str:
    """Of an object that nobody else writes, whatever two processes do at once."""
    return f"{secrets.token_hex(12)}{ending}"


def is_there(stored: str) -> bool:
    """Whether the file at this path or address can be fetched. Raises Unavailable where the store is away."""
    if not file_places.is_s3(stored):
        return Path(stored).is_file()
    where, name = place_of(stored)
    return where.size(name) is not None


def scratch() -> Path:
    """This host's folder for pieces on their way. Raises OSError."""
    folder = home() / SCRATCH
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def clear_scratch() -> None:
    """Remove what killed processes left there."""
    for left in (home() / SCRATCH).glob("*"):
        with suppress(OSError):  # another process removes it just now
            if datetime.now(UTC).timestamp() - left.stat().st_mtime > FORGOTTEN.total_seconds():
                shutil.rmtree(left) if left.is_dir() else left.unlink()


def require_room(what: str, needed: int) -> None:
    """On this host, for what is on its way into the store. Raises NoRoom, OSError."""
    disk_space.require(home(), needed, what, then="try again")


def clear(kind: str, number: int, at: str = "") -> None:
    """Delete everything of that import or export, which lies `at` its own address where it is known. Raises
    Unavailable."""
    place(at if file_places.is_s3(at) else address(kind, number)).remove_all()


def clear_left(kind: str, named: Iterable[str]) -> int:
    """Delete the objects of that kind that are older than a day and not `named`, as NUMBER/NAME; how many. Raises
    Unavailable."""
    kept, before, everything = set(named), datetime.now(UTC) - FORGOTTEN, place(f"{root()}/{kind}")
    left = [one.name for one in everything.below() if one.name not in kept and one.modified < before]
    everything.remove_all(left)
    return len(left)
