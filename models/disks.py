"""The disks that this machine writes to: what lies on each, and how much of it is left.

The database's is one of them where its server runs on this machine and tells its folder; a machine of its own has its
own watch.
"""

from dataclasses import dataclass
from pathlib import Path
from shutil import disk_usage

from sqlalchemy import make_url, text

from models import backups, file_places, stored_files
from models.database import Database, reading
from models.disk_space import there
from models.errors import AppError
from models.settings import home, settings

HERE = ("", "localhost", "127.0.0.1", "::1")
# Only who may read all settings finds it there; the others find no row.
_FOLDER = "SELECT setting FROM pg_settings WHERE name = 'data_directory'"


@dataclass(frozen=True)
class Disk:
    """`folder` is the first of those on it; `holds` says in words what lies there. Bytes."""

    folder: str
    holds: str
    total: int
    free: int

    @property
    def is_low(self) -> bool:
        return self.free < settings().disk_warning


def all_here() -> list[Disk]:
    """Each disk once, the home's first."""
    places = [(home(), _stored()), (database_folder(), "the database"), (_backups(), "the backups")]
    found: dict[int, list[tuple[Path, str]]] = {}
    for folder, what in places:
        if folder is not None and (device := _device(folder)) is not None:
            found.setdefault(device, []).append((folder, what))
    # Beside a home on the network they are given a disk of their own.
    if (device := _device(mirrors())) is not None and device not in found:
        found[device] = [(mirrors(), "the web's copies of the contacts")]
    return [_disk(on_it) for on_it in found.values()]


def of_the_home() -> Disk:
    """That of the stored files, and of an embedded database. It asks no database. Raises OSError."""
    return _disk([(home(), _stored())])


def _stored() -> str:
    return "files on their way" if stored_files.are_shared() else "stored files"


def database_folder() -> Path | None:
    """Where the database's server keeps its data, where that is on this machine and can be known."""
    host = make_url(Database.url or "").host or ""
    if host not in HERE and not host.startswith("/"):
        return None
    with reading() as session:
        named = session.scalar(text(_FOLDER))
    if not named:
        return None
    try:
        return Path(named) if Path(named).is_dir() else None
    except OSError:  # a folder above it is closed to us
        return None


def mirrors() -> Path:
    """Where instances of the web keep theirs: see models/contacts/mirror.py."""
    return home() / "mirror"


def _backups() -> Path | None:
    try:
        place = backups.place()
    except AppError:  # the setting means nothing, which backups say themselves
        return None
    return None if file_places.is_s3(place) else Path(place)


def _device(folder: Path) -> int | None:
    try:
        return there(folder).stat().st_dev
    except OSError:
        return None


def _disk(on_it: list[tuple[Path, str]]) -> Disk:
    folder = on_it[0][0]
    usage = disk_usage(there(folder))
    *first, last = [what for _, what in on_it]
    return Disk(str(folder), f"{', '.join(first)} and {last}" if first else last, usage.total, usage.free)
