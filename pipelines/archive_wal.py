"""Archiving the write-ahead log: what the embedded server left in its folder is packed, encrypted and put into its
place, and only then deleted here.

Reads the folder `wal` beside the server's data. Writes files into the place, and how far it came. A second run does the
same; a piece that is in its place already is compared, and another one of its name is refused. A killed run leaves the
piece in the folder, and the next one brings it.
"""

import tempfile
import time
from pathlib import Path

import psycopg

from models import database, recovery
from models.database import RECOVERY_LOCK, libpq_url
from models.errors import AppError, Conflict, Unavailable
from models.file_store import Place
from models.recovery_pieces import Laid
from models.settings import home
from pipelines import backup_key, backup_store, wal_files
from pipelines.backup_key import Key

WAITING = 60  # seconds, for the server


def ship() -> int:
    """Bring what waits into its place, the oldest first; how many pieces. What goes wrong is noted, and raised on: what
    comes after would be of no use without it. Raises Conflict, NotFound, Refused, NoRoom, Unavailable."""
    if not recovery.wanted():
        return 0
    with database.claimed(RECOVERY_LOCK, 0) as is_ours:
        if not is_ours or not (waiting := _waiting()):
            return 0
        system = recovery.system()
        try:
            key, _ = backup_key.wanted()
            there = backup_store.made_place(recovery.log_place(recovery.place(), system))
            for path in waiting:
                laid = bring(path, there, system, key)
                path.unlink()
                recovery.archived(system, path.name, laid)
        except AppError as error:
            recovery.not_archived(system, error.sentence)
            raise
        return len(waiting)


def bring(path: Path, there: Place, system: str, key: Key | None) -> Laid:
    """Put one piece into its place, or find that it is there; how it lies there. Raises Conflict where there is another
    one of its name, Unfit, NotFound, Refused, NoRoom, Unavailable."""
    content = path.read_bytes()
    name = wal_files.file_name(path.name, key)
    with tempfile.TemporaryDirectory(prefix="wal-", dir=work_folder()) as scratch:
        packed = Path(scratch) / name
        packed.write_bytes(wal_files.written(content, path.name, system, key))
        try:
            there.put(packed, name, private=True)
        except Conflict as error:
            there.fetch(name, packed)
            if wal_files.read(packed.read_bytes(), path.name, system, key) != content:
                raise Conflict(
                    f"{name} in {there.address} is another piece of the log than the server's: both are left as they "
                    "are. Two servers may write to this place: give each its own with APPOINTMENT360_BACKUP_TO, then "
                    "back up."
                ) from error
        return Laid(there.address, name, packed.stat().st_size, backup_store.locked(there, name))


def ship_all() -> None:
    """Archive all that is committed by now, also what is in a piece that is not full. Raises as `ship`."""
    with psycopg.connect(libpq_url(database.Database.url or ""), autocommit=True) as connection:
        # A moment is reached at the first change after it, and the next one may take long.
        connection.execute("SELECT pg_current_xact_id()")
        finished = connection.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone()
        given = "SELECT coalesce(last_archived_wal >= %s, false) FROM pg_stat_archiver"
        for _ in range(WAITING * 10):
            if (connection.execute(given, finished).fetchone() or (False,))[0]:
                break
            time.sleep(0.1)
        else:
            raise Unavailable(
                f"The server did not put its log aside within {WAITING} seconds: look at "
                f"{home() / 'postgres' / 'server.log'} and at the room on its disk."
            )
    ship()


def work_folder() -> Path:
    folder = home() / "backup-work"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _waiting() -> list[Path]:
    """Whole pieces: what begins with a dot is being written."""
    found = [path for path in recovery.spool().iterdir() if not path.name.startswith(".")]
    return sorted(found, key=lambda path: path.name)
