"""A file on its way here: what arrived is kept, so that a broken upload goes on where it broke.

From a browser it comes from its beginning to its end: it lies as `upload.part` in the import's folder, and the length
of that is how much arrived. In a store that all hosts share each piece is an object, and what the database names of
those has arrived. A program may send it in parts of one size, in any order: see parted_uploads.py.
"""

import os
import shutil
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Self

from sqlalchemy import and_, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from models import import_files, import_orders, import_parts, imports, stored_files, upload_files
from models.database import by_id, reading, writing
from models.errors import AppError, Conflict, InvalidInput, NotFound
from models.import_parts import PartsMissing
from models.imports import Import, Keep, MatchRule, Recall, State
from models.permissions import OPERATOR, Actor, Permission, require
from models.sent_pieces import Piece
from models.settings import settings
from models.upload_files import Held

LONG_PIECE = 64_000_000  # bytes of a browser's, with room to spare
SAME_FOR = timedelta(hours=1)  # a lost answer is asked for again within seconds, by a sleeping computer a little later

LATEST = 253_370_764_800_000  # milliseconds: the year 9999, after which Python has no dates


class TooLarge(InvalidInput):
    """The file is larger than uploads may be."""


class WrongPlace(Conflict):
    """A piece does not begin where the last one ended; `offset` is where that is."""

    def __init__(self, sentence: str, *, offset: int) -> None:
        self.offset = offset
        super().__init__(sentence)


@dataclass(frozen=True)
class Upload:
    """`offset` of the `size` bytes have arrived. `is_complete` once the import has its file, and goes its way.
    `part_size` is that of each part but the last; None where the file comes from its beginning to its end. `is_new`:
    it was begun just now."""

    import_id: int
    name: str
    size: int
    offset: int
    is_complete: bool = False
    part_size: int | None = None
    is_new: bool = False


def begin(
    *,
    name: str,
    size: int,
    modified: int | None,
    part_size: int | None = None,
    mapping_id: int | None = None,
    by: Actor,
) -> Upload:
    """A new import of a file that is about to come, or the one of the same person and file that is unfinished, or that
    was completed just now and is still open: the answer to `complete` may be lost, or another window was faster.

    `modified` is when the file was changed last, in milliseconds since 1970; without it no two files are the same. With
    `part_size` (bytes) it comes in parts. A new one is mapped by `mapping_id`, or by what is remembered. Raises
    NotAllowed, InvalidInput, TooLarge, NoRoom, Conflict, Held (it is on its way here otherwise).
    """
    imports.require_importing(by)
    name = upload_files.clean_name(name)
    if size <= 0:
        raise InvalidInput(f"{name} is empty: choose a file with contacts in it.", field="size")
    most = settings().max_upload
    if size > most:
        raise TooLarge(
            f"{name} is larger than {most.human_readable(decimal=True)}, the most that can be uploaded here. Split it, "
            "compress it (.gz, .zst, .zip), or let an administrator import it on the server."
        )
    if modified is not None:
        modified = min(modified, LATEST)
    if part_size is not None:
        import_parts.require_few(size, part_size)
    found = _same(name, size, modified, by)
    left = size - (found.offset if found else 0)
    upload_files.require_room(name, min(left, part_size or LONG_PIECE) if stored_files.are_shared() else left)
    found = found or _created(name, size, modified, part_size, Recall(mapping_id), by)
    _require_road(found, part_size)
    if not found.is_complete and not stored_files.are_shared():
        upload_files.make_folder(found.import_id)
    return found


def get(import_id: int, *, by: Actor) -> Upload:
    """One's own upload. Raises NotAllowed, NotFound (also for one that was cancelled)."""
    require(by, Permission.IMPORTS_RUN)
    with reading() as session:
        return own(session, by_id(session, Import, import_id), import_id, by)


def arrived(import_id: int, *, by: Actor) -> int:
    """Bytes that are here of anybody's upload. Raises NotAllowed, NotFound."""
    found = imports.get(import_id, by=by)
    with reading() as session:
        return _described(session, found).offset


def complete(import_id: int, *, sha256: str | None = None, by: Actor) -> int:
    """Make the arrived file the import's own, and ask for it to be opened; returns the number of the order.

    To complete it again changes nothing. Raises NotAllowed, NotFound, WrongPlace or PartsMissing (some of it is not
    here), InvalidInput (it has another `sha256` than it was sent with), Unavailable.
    """
    imports.require_importing(by)
    if sha256 is not None:
        _require_sent(import_id, sha256, by)
    with writing(by) as session:
        found = import_orders.locked_row(session, import_id)
        upload = own(session, found, import_id, by)
        if upload.is_complete:
            return found.orders
        _require_whole(session, upload)
        if stored_files.are_shared():
            found.file_path = stored_files.address(stored_files.IMPORTS, import_id)
        else:
            found.file_path = str(upload_files.take(import_id, upload.name))
            import_parts.forget(session, import_id)
        order = import_orders.give(found, State.OPENED, by)
    shutil.rmtree(upload_files.locks(import_id), ignore_errors=True)
    return order


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


def part(import_id: int, offset: int, *, by: Actor) -> "Part | SharedPart":
    """What takes a piece that begins at that byte. Raises as `Part` does."""
    return (SharedPart if stored_files.are_shared() else Part)(import_id, offset, by=by)


class Part:
    """The file that grows while pieces arrive; a context manager. What was written is on the disk when it is left."""

    def __init__(self, import_id: int, offset: int, *, by: Actor) -> None:
        """Raises NotAllowed, NotFound, WrongPlace, Held (it comes in parts), Unavailable."""
        self.upload, self.offset = get(import_id, by=by), offset
        _require_road(self.upload, None)
        self._require_place(self.upload.offset)
        self._path = upload_files.part_path(import_id)

    def __enter__(self) -> Self:
        """Raises Held; WrongPlace where others have written since; NoRoom, Unavailable."""
        with upload_files.disk_errors(self.upload.name):
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            with upload_files.disk_errors(self.upload.name):
                upload_files.lock(self._file)
                os.lseek(self._file, self.offset, os.SEEK_SET)
            self._require_place(upload_files.arrived(self.upload.import_id, self.upload.name))
        except BaseException:
            os.close(self._file)
            raise
        return self

    def write(self, data: bytes) -> None:
        """Raises InvalidInput where it is more than the file was said to hold, NoRoom, Unavailable."""
        _require_within(self.upload, self.offset + len(data))
        left = memoryview(data)
        with upload_files.disk_errors(self.upload.name):
            while left:
                written = os.write(self._file, left)
                self.offset, left = self.offset + written, left[written:]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with upload_files.disk_errors(self.upload.name):
                os.fsync(self._file)
        finally:
            os.close(self._file)

    def _require_place(self, arrived: int) -> None:
        _require_place(self.upload, self.offset, arrived)


class SharedPart:
    """A piece on its way into the shared store; a context manager. What came of it is there, and counts, when it is
    left: of two that send the same piece at once, that of the first one."""

    def __init__(self, import_id: int, offset: int, *, by: Actor) -> None:
        """Raises NotAllowed, NotFound, WrongPlace, Held (it comes in parts)."""
        self.upload, self.offset = get(import_id, by=by), offset
        self._begins, self._by = offset, by
        _require_road(self.upload, None)
        _require_place(self.upload, offset, self.upload.offset)

    def __enter__(self) -> Self:
        """Raises WrongPlace where others have sent it since, NotFound, NoRoom, Unavailable."""
        _require_place(self.upload, self._begins, get(self.upload.import_id, by=self._by).offset)
        self._piece = Piece(self.upload.import_id, self.upload.name)
        return self

    def write(self, data: bytes) -> None:
        """Raises InvalidInput where it is more than the file was said to hold, NoRoom, Unavailable."""
        _require_within(self.upload, self.offset + len(data))
        self._piece.write(data)
        self.offset += len(data)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Raises WrongPlace where others have sent it meanwhile, NotFound, Unavailable."""
        try:
            if self._piece.size:
                self._keep(self._piece.store())
        finally:
            self._piece.close()

    def _keep(self, name: str) -> None:
        import_id = self.upload.import_id
        try:
            with writing(self._by) as session:
                now = own(session, import_orders.locked_row(session, import_id), import_id, self._by)
                _require_place(now, self._begins, now.offset)
                number = import_parts.last_number(session, import_id) + 1
                noted = {"bytes": self._piece.size, "sha256": self._piece.sha256, "stored_as": name}
                session.add(import_parts.ImportPart(import_id=import_id, number=number, **noted))
        except AppError:
            self._piece.take_back(name)
            raise


def _require_place(upload: Upload, offset: int, arrived: int) -> None:
    if offset != arrived:
        raise WrongPlace(f"The next piece of {upload.name} begins at byte {arrived:,}.", offset=arrived)


def _require_within(upload: Upload, end: int) -> None:
    if end > upload.size:
        raise InvalidInput(f"{upload.name} was said to have {upload.size:,} bytes, and more came.")


def own(session: Session, found: Import | None, import_id: int, by: Actor) -> Upload:
    """Raises NotFound for one that is no upload of theirs, or no longer one: to others it does not exist."""
    if found is None or found.upload_bytes is None or found.created_by != by.id:
        raise NotFound(f"There is no upload {import_id}, or it is not yours.")
    if State.CANCELLED in (found.state, found.wanted):
        raise NotFound(f"The upload {import_id} was cancelled.")
    return _described(session, found)


def _require_road(found: Upload, part_size: int | None) -> None:
    """Raises Held: whoever waits finds it complete in the end."""
    if found.is_complete or (found.part_size is None) == (part_size is None):
        return
    sender = "a program" if found.part_size else "a browser"
    raise Held(
        f"Import {found.import_id} gets {found.name} from {sender} just now: wait until that is done, or cancel it."
    )


def _require_whole(session: Session, upload: Upload) -> None:
    if upload.offset == upload.size:
        return
    sentence = f"{upload.name} has not arrived completely yet."
    if upload.part_size is None:
        raise WrongPlace(sentence, offset=upload.offset)
    missing = import_parts.missing(session, upload.import_id, upload.size, upload.part_size)
    raise PartsMissing(sentence, missing=missing)


def _require_sent(import_id: int, sha256: str, by: Actor) -> None:
    """Before the import is locked: it takes as long as the file takes to be read."""
    with reading() as session:
        upload = own(session, by_id(session, Import, import_id), import_id, by)
        _require_whole(session, upload)
    arrived = (
        import_files.sha256(import_id) if stored_files.are_shared() else upload_files.sha256(import_id, upload.name)
    )
    if arrived != sha256.lower():
        raise InvalidInput(
            f"{upload.name} arrived with the SHA-256 {arrived}, not with that which you say. Send the parts anew that "
            "are other ones here, or cancel the import."
        )


def _created(
    name: str, size: int, modified: int | None, part_size: int | None, recall: Recall, by: Actor
) -> Upload:  # fmt: skip
    try:
        made = imports.create(
            file_name=name, overrides={}, match=MatchRule.AUTO, keep=Keep.THEIRS, upload=(size, modified),
            part_bytes=part_size, recall=recall, by=by,
        )  # fmt: skip
    except IntegrityError as error:
        if (found := _same(name, size, modified, by)) is None:
            raise Conflict(
                f"{name} was just uploaded or cancelled in another window: look there, or try again."
            ) from error
        return found  # of another window, which asked in the same moment
    return Upload(made, name, size, offset=0, part_size=part_size, is_new=True)


def _same(name: str, size: int, modified: int | None, by: Actor) -> Upload | None:
    """The newest upload of that file that a new one would only repeat."""
    if modified is None:
        return None
    same = (Import.file_name == name, Import.upload_bytes == size, Import.upload_modified == modified)
    is_unfinished = and_(Import.state == State.NEW, Import.file_path == "", Import.wanted.is_(None))
    is_just_completed = and_(
        Import.state.not_in(import_orders.OVER), Import.file_path != "", Import.wanted_at > func.now() - SAME_FOR,
        Import.wanted.is_distinct_from(State.CANCELLED), Import.error.is_(None),
    )  # fmt: skip
    wanted = select(Import).where(*same, Import.created_by == by.id, or_(is_unfinished, is_just_completed))
    with reading() as session:
        found = session.scalar(wanted.order_by(Import.id.desc()).limit(1))
        return _described(session, found) if found else None


def _grew_since(import_id: int, days: int) -> bool:
    with reading() as session:
        return import_parts.came_since(session, import_id, days) or upload_files.grew_since(import_id, days)


def _described(session: Session, found: Import) -> Upload:
    size, part_size, is_complete = found.upload_bytes or 0, found.upload_part_bytes, bool(found.file_path)
    if is_complete:
        arrived = size
    elif part_size is not None or stored_files.are_shared():
        arrived = import_parts.arrived(session, found.id)
    else:
        arrived = upload_files.arrived(found.id, found.file_name)
    return Upload(found.id, found.file_name, size, arrived, is_complete, part_size)
