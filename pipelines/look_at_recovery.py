"""Looking whether what moments are restored from lies in its place: bases, and the pieces of the log. Often by a
listing, their names and sizes; with each drill they are read through, by hashes and seals.

Reads the place. Writes what is missing or damaged, which is told as an alert, and which no new base builds on. A second
run finds the same.
"""

import hashlib
import logging
from pathlib import Path

from models import backup_places, recovery, recovery_archive
from models.errors import AppError, NotFound
from models.file_store import Folder, Place, place
from models.recovery import RecoveryBase
from models.recovery_archive import Expected
from models.recovery_pieces import RecoveryPiece
from pipelines import backup_key, backup_manifest, backup_scratch, base_backups, wal_files
from pipelines.backup_key import Key
from pipelines.backup_manifest import MANIFEST, Unfit, archive_name

log = logging.getLogger(__name__)


def look() -> None:
    """By listings: of a folder each time, of S3 once an hour; a place that cannot be read is noted, and nothing lies in
    one that is not there."""
    if not recovery.wanted():
        return
    for address, expected in recovery_archive.expected().items():
        if not backup_places.is_due(address):
            continue
        sizes: dict[str, int] = {}
        try:
            sizes = {one.name: one.size for one in place(address).files()}
            backup_places.looked_at(address)
        except AppError as error:
            backup_places.not_seen(address, error.sentence)
            if not isinstance(error, NotFound):
                continue
        recovery_archive.seen(
            {one.id: _is_listed(one, sizes) for one in expected.bases},
            {(one.system, one.segment): sizes.get(one.file) == one.bytes for one in expected.pieces},
        )


def read_through() -> None:
    """The newest base with those it builds on, and the log since; what cannot be reached is left for the next time."""
    if not recovery.wanted():
        return
    expected = recovery_archive.to_read()
    try:
        with backup_scratch.folder() as scratch:
            recovery_archive.was_read(*_read(expected, scratch))
    except AppError as error:
        log.warning("the archived log could not be read through: %s", error.sentence)


def _read(expected: Expected, scratch: Path) -> tuple[dict[int, bool], dict[tuple[str, str], bool]]:
    """Of each whether it is what was written; what is not there is for the listing to tell."""
    bases: dict[int, bool] = {}
    pieces: dict[tuple[str, str], bool] = {}
    for base in expected.bases:
        try:
            bases[base.id] = _is_base(base, scratch)
        except NotFound as error:
            log.warning("%s", error.sentence)
    for piece in expected.pieces:
        try:
            pieces[piece.system, piece.segment] = _is_piece(piece, scratch)
        except NotFound as error:
            log.warning("%s", error.sentence)
    return bases, pieces


def _is_listed(base: RecoveryBase, sizes: dict[str, int]) -> bool:
    names = (archive_name(base.name, None), archive_name(base.name, "age"))
    return any(sizes.get(one) == base.bytes for one in names) and base.name + MANIFEST in sizes


def _is_base(base: RecoveryBase, scratch: Path) -> bool:
    """Raises NotFound, Unavailable."""
    there = place(base.place)
    told = _fetched(there, base.name + MANIFEST, scratch)
    try:
        key = _key(backup_manifest.key_of(told))
        manifest = base_backups.read(told, key, name=base.name)
    except Unfit as error:
        log.warning("%s", error.sentence)
        return False
    return _hash(there, archive_name(base.name, key.name if key else None), scratch) == manifest.sha256


def _is_piece(piece: RecoveryPiece, scratch: Path) -> bool:
    """Raises NotFound, Unavailable."""
    content = _fetched(place(piece.place), piece.file, scratch)
    try:
        wal_files.read(content, piece.segment, piece.system, _key(wal_files.key_of(content, piece.segment)))
    except Unfit as error:
        log.warning("%s", error.sentence)
        return False
    return True


def _key(needed: str | None) -> Key | None:
    """Raises NotFound where the key that opens it is another one by now: that says nothing of what it opens."""
    if needed is None:
        return None
    key = backup_key.read()
    if key.name != needed:
        raise NotFound(f"What was archived with the key {needed} is not read: the key is another one by now.")
    return key


def _fetched(there: Place, name: str, scratch: Path) -> bytes:
    to = scratch / "fetched"
    there.fetch(name, to)
    return to.read_bytes()


def _hash(there: Place, name: str, scratch: Path) -> str:
    """Of a folder's file without copying it."""
    path = there.path / name if isinstance(there, Folder) else None
    if path is not None and path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    to = scratch / "archive"
    found = there.fetch(name, to)
    to.unlink()
    return found.sha256
