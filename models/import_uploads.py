"""A file on its way from a browser: what arrived is kept, so that a broken upload goes on where it broke.

Until it is complete the file lies as `upload.part` in the import's folder, and its length is how much arrived.
"""

import errno
import os
import shutil
import sys
import time
import unicodedata
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import and_, func, or_, select
from sqlalchemy.exc import IntegrityError

from models import import_orders, imports
from models.database import by_id, reading, writing
from models.errors import Conflict, InvalidInput, NotFound, Unavailable
from models.imports import Import, Keep, MatchRule, Recall, State
from models.permissions import OPERATOR, Actor, Permission, require
from models.settings import home, settings

LONGEST_NAME = 200  # bytes; most file systems take 255
LONGEST_SUFFIX = 20
SAME_FOR = timedelta(hours=1)  # a lost answer is asked for again within seconds, by a sleeping computer a little later
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

if sys.platform != "win32":
    import fcntl


class TooLarge(InvalidInput):
    """The file is larger than uploads may be."""


class NoRoom(Unavailable):
    """The disk is full: what arrived stays, and the upload goes on once there is room."""


class WrongPlace(Conflict):
    """A piece does not begin where the last one ended; `offset` is where that is."""

    def __init__(self, sentence: str, *, offset: int) -> None:
        self.offset = offset
        super().__init__(sentence)


class Held(Conflict):
    """Somebody else is writing to the upload just now, in this process or in another one."""


@dataclass(frozen=True)
class Upload:
    """`offset` of the `size` bytes have arrived. `is_complete` once the import has its file, and goes its way."""

    import_id: int
    name: str
    size: int
    offset: int
    is_complete: bool = False


def begin(*, name: str, size: int, modified: int, by: Actor) -> Upload:
    """A new import of a file that is about to come, or the one of the same person and file that is unfinished, or that
    was completed just now and is still open: the answer to `complete` may be lost, or another window was faster.

    `modified` is when the file was changed last, in milliseconds since 1970.
    Raises NotAllowed, InvalidInput, TooLarge, NoRoom, Conflict.
    """
    imports.require_importing(by)
    name = clean_name(name)
    if size <= 0:
        raise InvalidInput(f"{name} is empty: choose a file with contacts in it.")
    most = settings().max_upload
    if size > most:
        raise TooLarge(
            f"{name} is larger than {most.human_readable(decimal=True)}, the most that can be uploaded here. Split it, "
            "compress it (.gz, .zst, .zip), or let an administrator import it on the server."
        )
    found = _same(name, size, modified, by)
    _require_room(name, size - (found.offset if found else 0))
    found = found or _created(name, size, modified, by)
    if not found.is_complete:
        _make_folder(found.import_id)
    return found


def get(import_id: int, *, by: Actor) -> Upload:
    """One's own upload. Raises NotAllowed, NotFound (also for one that was cancelled)."""
    require(by, Permission.IMPORTS_RUN)
    with reading() as session:
        return _own(by_id(session, Import, import_id), import_id, by)


def arrived(import_id: int, *, by: Actor) -> int:
    """Bytes that are here of anybody's upload. Raises NotAllowed, NotFound."""
    return _arrived(import_id, imports.get(import_id, by=by).file_name)


def complete(import_id: int, *, by: Actor) -> int:
    """Make the arrived file the import's own, and ask for it to be opened; returns the number of the order.

    To complete it again changes nothing. Raises NotAllowed, NotFound, WrongPlace (some of it is missing), Unavailable.
    """
    imports.require_importing(by)
    with writing(by) as session:
        found = import_orders.locked_row(session, import_id)
        upload = _own(found, import_id, by)
        if upload.is_complete:
            return found.orders
        if upload.offset != upload.size:
            raise WrongPlace(f"{upload.name} has not arrived completely yet.", offset=upload.offset)
        found.file_path = str(_stored(upload))
        return import_orders.give(found, State.OPENED, by)


def clear_abandoned(*, older_than_days: int) -> list[int]:
    """Cancel uploads that nobody went on with for so long, and copies whose process died; what arrived of them is
    removed. Returns their ids."""
    before = func.now() - timedelta(days=older_than_days)
    wanted = select(Import.id).where(
        Import.state == State.NEW, Import.file_path == "", Import.wanted.is_(None), Import.created_at < before
    )
    with reading() as session:
        found = list(session.scalars(wanted.order_by(Import.id)))
    old = [import_id for import_id in found if not _grew_since(import_id, older_than_days)]
    for import_id in old:
        import_orders.cancel(import_id, by=OPERATOR)
    return old


class Part:
    """The file that grows while pieces arrive; a context manager. What was written is on the disk when it is left."""

    def __init__(self, import_id: int, offset: int, *, by: Actor) -> None:
        """Raises NotAllowed, NotFound, WrongPlace, Unavailable."""
        self.upload, self.offset = get(import_id, by=by), offset
        self._require_place(self.upload.offset)
        self._path = part_path(import_id)

    def __enter__(self) -> Self:
        """Raises Held; WrongPlace where others have written since; NoRoom, Unavailable."""
        with _disk_errors(self.upload.name):
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            with _disk_errors(self.upload.name):
                _lock(self._file)
                os.lseek(self._file, self.offset, os.SEEK_SET)
            self._require_place(_arrived(self.upload.import_id, self.upload.name))
        except BaseException:
            os.close(self._file)
            raise
        return self

    def write(self, data: bytes) -> None:
        """Raises InvalidInput where it is more than the file was said to hold, NoRoom, Unavailable."""
        if self.offset + len(data) > self.upload.size:
            raise InvalidInput(f"{self.upload.name} was said to have {self.upload.size:,} bytes, and more came.")
        left = memoryview(data)
        with _disk_errors(self.upload.name):
            while left:
                written = os.write(self._file, left)
                self.offset, left = self.offset + written, left[written:]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with _disk_errors(self.upload.name):
                os.fsync(self._file)
        finally:
            os.close(self._file)

    def _require_place(self, arrived: int) -> None:
        if self.offset != arrived:
            raise WrongPlace(f"The next piece of {self.upload.name} begins at byte {arrived:,}.", offset=arrived)


def part_path(import_id: int) -> Path:
    return imports.folder(import_id) / "upload.part"


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


class _disk_errors:  # noqa: N801  # it reads as a statement
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


def _created(name: str, size: int, modified: int, by: Actor) -> Upload:
    try:
        made = imports.create(
            file_name=name, overrides={}, match=MatchRule.AUTO, keep=Keep.THEIRS, upload=(size, modified),
            recall=Recall(), by=by,
        )  # fmt: skip
    except IntegrityError as error:
        if (found := _same(name, size, modified, by)) is None:
            raise Conflict(
                f"{name} was just uploaded or cancelled in another window: look there, or try again."
            ) from error
        return found  # of another window, which asked in the same moment
    return Upload(made, name, size, offset=0)


def _same(name: str, size: int, modified: int, by: Actor) -> Upload | None:
    """The newest upload of that file that a new one would only repeat."""
    same = (Import.file_name == name, Import.upload_bytes == size, Import.upload_modified == modified)
    is_unfinished = and_(Import.state == State.NEW, Import.file_path == "", Import.wanted.is_(None))
    is_just_completed = and_(
        Import.state.not_in(import_orders.OVER), Import.file_path != "", Import.wanted_at > func.now() - SAME_FOR,
        Import.wanted.is_distinct_from(State.CANCELLED), Import.error.is_(None),
    )  # fmt: skip
    wanted = select(Import).where(*same, Import.created_by == by.id, or_(is_unfinished, is_just_completed))
    with reading() as session:
        found = session.scalar(wanted.order_by(Import.id.desc()).limit(1))
        return _described(found) if found else None


def _own(found: Import | None, import_id: int, by: Actor) -> Upload:
    """Raises NotFound for one that is no upload of theirs, or no longer one: to others it does not exist."""
    if found is None or found.upload_bytes is None or found.created_by != by.id:
        raise NotFound(f"There is no upload {import_id}, or it is not yours.")
    if State.CANCELLED in (found.state, found.wanted):
        raise NotFound(f"The upload {import_id} was cancelled.")
    return _described(found)


def _described(found: Import) -> Upload:
    size, is_complete = found.upload_bytes or 0, bool(found.file_path)
    arrived = size if is_complete else _arrived(found.id, found.file_name)
    return Upload(found.id, found.file_name, size, arrived, is_complete)


def _arrived(import_id: int, name: str) -> int:
    # The whole file first: it is there once `complete` has run or was killed half way, and beside it may lie the empty
    # part of a piece that came too late.
    for path in (_target(import_id, name), part_path(import_id)):
        try:
            return path.stat().st_size
        except OSError:
            continue
    return 0


def _grew_since(import_id: int, days: int) -> bool:
    try:
        return time.time() - part_path(import_id).stat().st_mtime < days * 86_400
    except OSError:
        return False


def _target(import_id: int, name: str) -> Path:
    return imports.folder(import_id) / "upload" / name


def _require_room(name: str, needed: int) -> None:
    folder = home()
    with _disk_errors(name):
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    if free < needed:
        raise NoRoom(
            f"The disk of the server has {free / 1e9:,.1f} GB left, and {name} needs {needed / 1e9:,.1f} GB: let an "
            "administrator make room, then upload it."
        )


def _make_folder(import_id: int) -> None:
    with _disk_errors("The file"):
        imports.folder(import_id).mkdir(parents=True, exist_ok=True)


def _stored(upload: Upload) -> Path:
    """Give the arrived file its name, all at once; a process that was killed here may have done so already."""
    target, part = _target(upload.import_id, upload.name), part_path(upload.import_id)
    with _disk_errors(upload.name):
        target.parent.mkdir(exist_ok=True)
        if not target.exists():
            _sync(part)  # another process may have written the last piece, and not be done with that
            part.replace(target)
        _sync(target.parent)
        _sync(target.parent.parent)
    return target


def _lock(file: int) -> None:
    """Until it is closed, also by the death of the process. Raises Held."""
    if sys.platform == "win32":  # without such locks two windows write the same bytes to the same places
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Held("Another window is sending this file just now.") from error


def _sync(path: Path) -> None:
    """Of a file or a folder: a renamed file outlives a loss of power only when its folder is on the disk, too."""
    if os.name != "posix":  # Windows opens no folders
        return
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
