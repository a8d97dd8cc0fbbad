"""A file that a program sends in parts of one size, in any order, several at once, each as often as it likes.

A part is written to its place in the file, and noted once it is on the disk. Whoever writes it holds its lock, which
ends with the process: a part that was not noted is written over, one that was noted is never written again, only
compared. So what was acknowledged stays, whatever happens meanwhile.

In a store that all hosts share each part is an object of its own, and needs no lock: of two that are sent at once the
one that is noted first counts.
"""

import hashlib
import os
from types import TracebackType
from typing import Self

from sqlalchemy.orm import Session

from models import import_orders, import_parts, import_uploads, imports, stored_files, upload_files
from models.database import by_id, reading, writing
from models.errors import AppError, Conflict, InvalidInput
from models.import_parts import ImportPart, Place
from models.import_uploads import Upload
from models.imports import Import
from models.permissions import Actor, Permission, require
from models.sent_pieces import Piece


class PartWriter:
    """A part that is being received; a context manager. It counts once `keep` has returned it."""

    def __init__(self, import_id: int, number: int, *, sha256: str | None = None, by: Actor) -> None:
        """`sha256` is what the sender says of it, in hexadecimal digits. Raises NotAllowed, NotFound, InvalidInput
        (there is no such part), Conflict (the upload has no parts, or is complete)."""
        imports.require_importing(by)
        self._number, self._said, self._by = number, sha256, by
        self.upload = import_uploads.get(import_id, by=by)
        self.place = _place(self.upload, number)
        self._hash, self._received = hashlib.sha256(), 0

    def __enter__(self) -> Self:
        """Raises Held (somebody else sends this part just now), NotFound, Conflict, NoRoom, Unavailable."""
        self._lock = None if stored_files.are_shared() else _locked(self.upload, self._number)
        self._file: int | None = None
        self._piece: Piece | None = None
        try:
            with reading() as session:  # only now that nobody else can note it
                self._known = _known(session, self.upload.import_id, self._number, self._by)
            if self._known is None and self._lock is None:
                self._piece = Piece(self.upload.import_id, self.upload.name)
            elif self._known is None:
                self._file = self._opened()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def write(self, data: bytes) -> None:
        """Raises InvalidInput where it is more than the part has, NoRoom, Unavailable."""
        self._received += len(data)
        if self._received > self.place.length:
            raise InvalidInput(f"{self._named} has {self.place.length:,} bytes, and more came. Nothing of it is kept.")
        self._hash.update(data)
        if self._piece is not None:
            self._piece.write(data)
        left = memoryview(data if self._file is not None else b"")
        with upload_files.disk_errors(self.upload.name):
            while left and self._file is not None:
                left = left[os.write(self._file, left) :]

    def keep(self) -> ImportPart:
        """The whole of it came: it is on the disk and noted now, or was before. Raises InvalidInput (it did not come
        whole, or is not what its sender says), Conflict (another one is here), NotFound, NoRoom, Unavailable."""
        sha256 = self._hash.hexdigest()
        if self._received != self.place.length:
            raise InvalidInput(
                f"{self._named} has {self.place.length:,} bytes, and {self._received:,} came. Send it again."
            )
        if self._said is not None and self._said != sha256:
            raise InvalidInput(f"{self._named} arrived with another SHA-256 than it was sent with. Send it again.")
        if self._known is not None:
            return self._same(self._known, sha256)
        if self._piece is not None:
            return self._noted(sha256, self._piece.store())
        with upload_files.disk_errors(self.upload.name):
            assert self._file is not None
            os.fsync(self._file)
            upload_files.sync(imports.folder(self.upload.import_id))
        return self._noted(sha256)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            os.close(self._file)
        if self._piece is not None:
            self._piece.close()
        if self._lock is not None:
            os.close(self._lock)

    def _opened(self) -> int:
        with upload_files.disk_errors(self.upload.name):
            opened = os.open(upload_files.part_path(self.upload.import_id), os.O_WRONLY | os.O_CREAT, 0o600)
            os.lseek(opened, self.place.offset, os.SEEK_SET)
            return opened

    def _noted(self, sha256: str, stored_as: str | None = None) -> ImportPart:
        noted = ImportPart(
            import_id=self.upload.import_id, number=self._number, bytes=self.place.length, sha256=sha256,
            stored_as=stored_as,
        )  # fmt: skip
        try:
            with writing(self._by) as session:
                _locked_upload(session, self.upload.import_id, self._by)
                known = session.get(ImportPart, (self.upload.import_id, self._number))
                if known is None:
                    session.add(noted)
                    session.flush()
                    session.expunge(noted)
                else:
                    session.expunge(known)
        except AppError:
            self._take_back(stored_as)
            raise
        if known is None:
            return noted
        self._take_back(stored_as)
        return self._same(known, sha256)

    def _take_back(self, stored_as: str | None) -> None:
        if self._piece is not None and stored_as is not None:
            self._piece.take_back(stored_as)

    def _same(self, known: ImportPart, sha256: str) -> ImportPart:
        if known.sha256 != sha256:
            raise Conflict(
                f"{self._named} is here already, with other bytes, and stays. Remove it first, if this one is right."
            )
        return known

    @property
    def _named(self) -> str:
        return f"Part {self._number} of {self.upload.name}"


def listed(import_id: int, *, by: Actor) -> list[ImportPart]:
    """The parts of one's own upload that are here, by their numbers; none once it is complete. Raises NotAllowed,
    NotFound."""
    require(by, Permission.IMPORTS_RUN)
    if import_uploads.get(import_id, by=by).is_complete:
        return []
    with reading() as session:
        found = import_parts.listed(session, import_id)
        session.expunge_all()
        return found


def remove(import_id: int, number: int, *, by: Actor) -> None:
    """Let a part come anew that is not what it should be. Raises NotAllowed, NotFound, InvalidInput (there is no such
    part), Conflict (the upload is complete), Held (somebody sends it just now)."""
    imports.require_importing(by)
    upload = import_uploads.get(import_id, by=by)
    _place(upload, number)
    if stored_files.are_shared():
        _forget(import_id, number, by)  # its object goes with those that nobody names
        return
    lock = _locked(upload, number)
    try:
        _forget(import_id, number, by)
    finally:
        os.close(lock)


def _forget(import_id: int, number: int, by: Actor) -> None:
    with writing(by) as session:
        _locked_upload(session, import_id, by)
        import_parts.forget(session, import_id, number)


def _place(upload: Upload, number: int) -> Place:
    """Raises InvalidInput, Conflict."""
    if upload.is_complete:
        raise Conflict(f"{upload.name} is complete: nothing of it is taken any more.")
    if upload.part_size is None:
        raise Conflict(f"{upload.name} is on its way from a browser, from its beginning to its end: it has no parts.")
    return import_parts.place(upload.size, upload.part_size, number)


def _locked(upload: Upload, number: int) -> int:
    """The open file that has the part's lock until it is closed. Raises Held, NoRoom, Unavailable."""
    folder = upload_files.locks(upload.import_id)
    with upload_files.disk_errors(upload.name):
        folder.mkdir(parents=True, exist_ok=True)
        opened = os.open(folder / str(number), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        upload_files.lock(opened)
    except BaseException:
        os.close(opened)
        raise
    return opened


def _known(session: Session, import_id: int, number: int, by: Actor) -> ImportPart | None:
    """What is noted of it. Raises NotFound, Conflict."""
    _place(import_uploads.own(session, by_id(session, Import, import_id), import_id, by), number)
    found = session.get(ImportPart, (import_id, number))
    if found is not None:
        session.expunge(found)
    return found


def _locked_upload(session: Session, import_id: int, by: Actor) -> None:
    """So that it is neither completed nor cancelled meanwhile. Raises NotFound, Conflict (it was)."""
    upload = import_uploads.own(session, import_orders.locked_row(session, import_id), import_id, by)
    _place(upload, 1)
