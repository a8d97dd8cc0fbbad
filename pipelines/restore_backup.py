"""Restoring a backup into a database that somebody names, which has to be empty, and comparing it with the manifest.

Writes that database, and the stored files where a folder for them is named. A second run is refused, since the database
is no longer empty.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from models import backups
from models.errors import Conflict
from models.file_store import place
from models.permissions import Actor, Permission, require
from pipelines import backup_key, backup_manifest, drill, postgres_restore
from pipelines.backup_key import Key
from pipelines.drill import Compared

Say = Callable[[str], None]


@dataclass(frozen=True)
class Restored(Compared):
    name: str
    files: int


def run(
    backup_id: int,
    into: str,
    *,
    files: Path | None = None,
    key_file: Path | None = None,
    by: Actor,
    say: Say = lambda step: None,
) -> Restored:
    """Restore a backup of ours. Raises NotAllowed, NotFound, Unfit, Conflict, Held, Unavailable."""
    require(by, Permission.SERVER_MANAGE)
    backup = backups.get(backup_id, by=by)
    with backups.claimed(backup_id):
        found = run_named(backup.name, backup.place, into, files=files, key_file=key_file, say=say)
    backups.restored(backup_id, postgres_restore.shown(into), not found.differences, by=by)
    return found


def run_named(
    name: str,
    address: str,
    into: str,
    *,
    files: Path | None = None,
    key_file: Path | None = None,
    say: Say = lambda step: None,
) -> Restored:
    """Restore by the backup's name and place, for who has no database left that knows of it. Raises as `run`."""
    postgres_restore.require_empty(into)
    if files is not None and files.exists() and any(files.iterdir()):
        raise Conflict(f"{files} holds files already: name a new folder.")
    there, key = place(address), _key(name, address, key_file)
    with drill.unpacked(there, name, key, files=files, say=say) as (dump, manifest):
        found = drill.restored(dump, manifest, into, say=say)
        return Restored(**vars(found), name=name, files=len(manifest.files))


def _key(name: str, address: str, file: Path | None) -> Key | None:
    """The key that it takes; None where it is not encrypted."""
    with tempfile.TemporaryDirectory() as scratch:
        to = Path(scratch) / "manifest"
        drill.fetch_manifest(place(address), name, to)
        if backup_manifest.key_of(to.read_bytes()) is None:
            return None
    return backup_key.read(file)
