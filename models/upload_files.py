"""What arrives of a file on the disk: where it lies, who writes to it, and how it gets its name once it is whole.

Until then it lies as `upload.part` in the import's folder, and so it is found after whatever ends the process.
"""

import errno
import hashlib
import os
import sys
import time
import unicodedata
from pathlib import Path
from types import TracebackType

from models import disk_space, imports
from models.disk_space import NoRoom
from models.errors import Conflict, Unavailable
from models.settings import home

LONGEST_NAME = 200  # bytes; most file systems take 255
LONGEST_SUFFIX = 20
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

if sys.platform != "win32":
    import fcntl


class Held(Conflict):
    """Somebody else is writing to the upload just now, in this process or in another one."""


def part_path(import_id: int) -> Path:
    return imports.folder(import_id) / "upload.part"


def locks(import_id: int) -> Path:
    """Where the locks of an upload's parts lie, each a file without a byte."""
    return imports.folder(import_id) / "parts"


def target(import_id: int, name: str) -> Path:
    return imports.folder(import_id) / "upload" / name


def clean_name(given: str) -> str:
    """The last part of a path, without what file systems and databases refuse, and not too long."""
    last = given.replace("\\", "/").rpartition("/")[2].encode(errors="ignore").decode()
    kept = "".join(sign for sign in last if unicodedata.category(sign) != "Cc").strip()
    if not kept.strip("."):
        return "file"
    suffix = Path(kept).suffix
    if len(suffix.encode()) > LONGEST_SUFFIX:
        suffix = ""
    stem = kept.removesuffix(suffix).encode()[: LONGEST_NAME - len(suffix.encode())].decode(errors="ignore")
    return stem + suffix


class disk_errors:  # noqa: N801  # it reads as a statement
    """What the disk says, as sentences."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not isinstance(error, OSError):
            return
        if error.errno in FULL:
            raise NoRoom(
                f"The disk of the server is full. What arrived of {self.name} is kept: let an administrator make room, "
                "then go on."
            ) from error
        raise Unavailable(f"{self.name} could not be stored: {error.strerror or error}.") from error


def arrived(import_id: int, name: str) -> int:
    """Bytes of an upload that comes from its beginning to its end."""
    # The whole file first: it is there once `complete` has run or was killed half way, and beside it may lie the empty
    # part of a piece that came too late.
    for path in (target(import_id, name), part_path(import_id)):
        try:
            return path.stat().st_size
        except OSError:
            continue
    return 0


def grew_since(import_id: int, days: int) -> bool:
    try:
        return time.time() - part_path(import_id).stat().st_mtime < days * 86_400
    except OSError:
        return False


def require_room(name: str, needed: int) -> None:
    folder = home()
    with disk_errors(name):
        folder.mkdir(parents=True, exist_ok=True)
        disk_space.require(folder, needed, name, then="upload it")


def make_folder(import_id: int) -> None:
    with disk_errors("The file"):
        imports.folder(import_id).mkdir(parents=True, exist_ok=True)


def take(import_id: int, name: str) -> Path:
    """Give the arrived file its name, all at once; a process that was killed here may have done so already."""
    whole, part = target(import_id, name), part_path(import_id)
    with disk_errors(name):
        whole.parent.mkdir(exist_ok=True)
        if not whole.exists():
            sync(part)  # another process may have written the last piece, and not be done with that
            part.replace(whole)
        sync(whole.parent)
        sync(whole.parent.parent)
    return whole


def sha256(import_id: int, name: str) -> str:
    """Of the file that arrived. Raises Unavailable."""
    path = target(import_id, name)
    with disk_errors(name), (path if path.exists() else part_path(import_id)).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def lock(file: int) -> None:
    """Until it is closed, also by the death of the process. Raises Held."""
    if sys.platform == "win32":  # without such locks two windows write the same bytes to the same places
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Held("Another window is sending this file just now.") from error


def sync(path: Path) -> None:
    """Of a file or a folder: a renamed file outlives a loss of power only when its folder is on the disk, too."""
    if os.name != "posix":  # Windows opens no folders
        return
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
