"""Putting an archive into its place, and its manifest after it, which makes it valid."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from models import backups, disk_space, file_places
from models.disk_space import NoRoom
from models.errors import NotFound, Unavailable
from models.file_store import DISK_FULL, Place, Refused, place
from models.settings import home, settings
from pipelines.backup_manifest import MANIFEST


def made_place(address: str) -> Place:
    """The place, with its folder where it is one. That of the setting has to be there: where its disk is not attached,
    a new folder would fill the wrong disk. Raises InvalidInput, NotFound, NoRoom, Refused, Unavailable."""
    if not file_places.is_s3(address):
        path, chosen = Path(address), Path(backups.place())
        root = chosen if path.is_relative_to(chosen) else path
        if not path.is_relative_to(home() / backups.FOLDER) and not root.is_dir():
            raise NotFound(
                f"There is no folder {root}, which is where backups are to go: attach its disk, make it, or correct "
                "APPOINTMENT360_BACKUP_TO."
            )
        with disk(address):
            for missing in reversed([one for one in (path, *path.parents) if not one.exists()]):
                missing.mkdir(mode=0o700, exist_ok=True)
    return place(address)


@contextmanager
def disk(folder: Path | str) -> Iterator[None]:
    """What the disk of the folder refuses, as a sentence. Raises NoRoom, Refused, Unavailable."""
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            raise NoRoom(f"The disk of {folder} is full: make room, then try again.") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise Refused(
                f"{folder} cannot be made or written by this program: let its system user do so, or name another place "
                "with APPOINTMENT360_BACKUP_TO."
            ) from error
        raise Unavailable(f"{folder} cannot be used: {error.strerror or error}. Name another place.") from error


def put(there: Place, archive: Path, manifest: bytes, name: str) -> datetime | None:
    """Until when the store refuses to delete both, where it does. Raises NotFound, Refused, NoRoom, Unavailable."""
    if not file_places.is_s3(there.address):
        disk_space.require(Path(there.address), archive.stat().st_size, "the archive of a backup")
    there.put(archive, archive.name, replace=True, private=True)
    side = archive.with_name(name + MANIFEST)
    side.write_bytes(manifest)
    there.put(side, side.name, replace=True, private=True)
    return locked(there, archive.name, side.name)


def locked(there: Place, *names: str) -> datetime | None:
    """Let the store keep the files for as many days as the setting says; None where it has no Object Lock."""
    days = settings().backup_lock_days
    if not days or not file_places.is_s3(there.address):
        return None
    from models.s3_store import Prefix

    assert isinstance(there, Prefix)
    moment = datetime.now(UTC) + timedelta(days=days)
    took = [there.lock_until(name, moment) for name in names]
    return moment if all(took) else None
