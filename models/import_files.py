"""The file of an import, wherever it lies: below the home of the host that took it, or in the shared store, as one
object for each part that came. The parts' order, sizes and SHA-256 stand in the database, and are compared with what
comes from there."""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models import file_places, import_parts, imports, stored_files, upload_files
from models.database import reading
from models.disk_space import NoRoom
from models.errors import NotFound, Unavailable
from models.import_parts import ImportPart
from models.imports import Import

BLOCK = 1024 * 1024  # bytes
FETCHED = "fetched"


class StoreAway(Unavailable):
    """The shared store gives the file to nobody just now: it is fetched once it does."""


def is_shared(found: Import) -> bool:
    return file_places.is_s3(found.file_path)


def size(found: Import) -> int:
    """Bytes of the file; 0 where it is not here."""
    if is_shared(found):
        with reading() as session:
            return import_parts.arrived(session, found.id)
    path = Path(found.file_path)
    return path.stat().st_size if found.file_path and path.is_file() else 0


def sha256(import_id: int) -> str:
    """Of a file in the shared store, as it lies there. Raises Unavailable."""
    with reading() as session:
        parts = import_parts.listed(session, import_id)
        session.expunge_all()
    digest = hashlib.sha256()
    place = stored_files.place(stored_files.address(stored_files.IMPORTS, import_id))
    for part in parts:
        for block in place.read(part.stored_as or ""):
            digest.update(block)
    return digest.hexdigest()


def fetch(found: Import) -> Path:
    """The file on this host, which `let_go` removes again where it came from the store.

    Raises StoreAway, NoRoom; NotFound where somebody removed it from there, Unavailable where it is damaged.
    """
    if not is_shared(found):
        return Path(found.file_path)
    whole = folder_here(found.id) / found.file_name
    with reading() as session:
        parts = import_parts.listed(session, found.id)
        session.expunge_all()
    with upload_files.disk_errors(found.file_name):
        whole.parent.mkdir(parents=True, exist_ok=True)
    _join(found, parts, whole)
    return whole


def let_go(found: Import) -> None:
    """What `fetch` brought here: another host, or this one, fetches it again where it is wanted again."""
    if is_shared(found):
        shutil.rmtree(folder_here(found.id), ignore_errors=True)


def folder_here(import_id: int) -> Path:
    """Where on this host the file of the shared store is while it is opened."""
    return imports.folder(import_id) / FETCHED


def can_be_fetched(found: Import) -> bool:
    """Whether the store answers; True for a file that is not there."""
    if not is_shared(found):
        return True
    try:
        next(stored_files.place(found.file_path).files(), None)
    except Unavailable:
        return False
    return True


@dataclass(frozen=True)
class Put:
    """A whole file in the shared store, before the database names it."""

    address: str  # of the import
    name: str
    bytes: int
    sha256: str


def put(import_id: int, path: Path) -> Put:
    """Bring a whole file into the shared store. Raises Refused, NoRoom, Unavailable, OSError."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.tell()
    address, name = stored_files.address(stored_files.IMPORTS, import_id), stored_files.new_name()
    stored_files.place(address).put(path, name, replace=True)  # nobody else has that name
    return Put(address, name, size, digest)


def note(session: Session, import_id: int, put: Put) -> str:
    """Name it as all of the import's file; what its `file_path` is then."""
    part = ImportPart(import_id=import_id, number=1, bytes=put.bytes, sha256=put.sha256, stored_as=put.name)
    session.add(part)
    session.flush()
    return put.address


def clear_left() -> int:
    """Delete what lies in the shared store and belongs to no import; how many objects. Raises Unavailable."""
    named = func.concat(ImportPart.import_id, "/", ImportPart.stored_as)
    with reading() as session:
        kept = list(session.scalars(select(named).where(ImportPart.stored_as.is_not(None))))
    return stored_files.clear_left(stored_files.IMPORTS, kept)


def _join(found: Import, parts: Sequence[ImportPart], whole: Path) -> None:
    place, piece = stored_files.place(found.file_path), whole.with_name(".piece")
    with upload_files.disk_errors(found.file_name), whole.open("wb") as file:
        for part in parts:
            try:
                fetched = place.fetch(part.stored_as or "", piece)
            except (NoRoom, NotFound):
                raise
            except Unavailable as error:
                raise StoreAway(error.sentence) from error
            if (fetched.size, fetched.sha256) != (part.bytes, part.sha256):
                raise Unavailable(
                    f"Part {part.number} of {found.file_name} is not in {found.file_path} as it came: put the bucket's "
                    "earlier version of it back, or cancel the import and send the file again."
                )
            with piece.open("rb") as source:
                shutil.copyfileobj(source, file, BLOCK)
            piece.unlink()
