"""Drills: a backup is read from its place, restored into a database of its own beside ours, compared and dropped.

Reads the archive and its manifest. Writes what was found, and how long the restore took. A second run proves it again.
A killed drill leaves its database, whose name has the process's lock in it: the next one drops it.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import bcrypt
import psycopg
from psycopg import conninfo, sql
from sqlalchemy import text

from models import backups, database, disk_space, disks, jobs
from models.backups import FLOW, Backup, Drill
from models.database import libpq_url
from models.disk_space import NoRoom
from models.errors import AppError, Conflict, NotFound, Unavailable
from models.file_store import Folder, Place, place
from models.permissions import Actor, Permission, require
from models.settings import home
from pipelines import (
    backup_archive,
    backup_content,
    backup_key,
    backup_manifest,
    backup_scratch,
    look_at_recovery,
    postgres_restore,
)
from pipelines.backup_content import Content
from pipelines.backup_key import Key
from pipelines.backup_manifest import MANIFEST, Manifest, Unfit, archive_name
from pipelines.heart import Cancelled
from pipelines.recorded import recorded

PREFIX = "appointment360_drill_"
Say = Callable[[str], None]

log = logging.getLogger(__name__)


class OtherKey(Conflict):
    """The key that this program has is not the backup's."""


@dataclass(frozen=True)
class Compared:
    """`seconds` is what the restore took; `differences` are sentences, none where it is the same."""

    tables: int
    rows: int
    seconds: float
    differences: list[str]
    without: list[str]
    """Roles that are not there, whose grants were left out."""


def run(backup_id: int, *, by: Actor, say: Say = lambda step: None) -> Compared:
    """Prove a backup, or find why not, as a run among the jobs. Raises as `prove`; Held where another process has it,
    which says nothing of the backup."""
    require(by, Permission.SERVER_MANAGE)
    backup = _restorable(backup_id, by)
    if backup.drill_asked_at is None:
        _key(backup)  # who is at the command line is refused, and nothing is noted
    subject = f"{jobs.DRILL}backup {backup_id}"
    with backups.claimed(backup_id), recorded(FLOW, subject=subject, asked_by=by.doer_id) as noted:

        def step(name: str) -> None:
            noted.says(backups.STEPS[name])
            say(name)

        found = prove(backup_id, by=by, say=step)
        noted.tell(
            tables=found.tables, rows=found.rows, restore_seconds=round(found.seconds, 1),
            differences=len(found.differences), proven=not found.differences,
        )  # fmt: skip
        step("log")
        look_at_recovery.read_through()
        return found


def prove(backup_id: int, *, by: Actor, say: Say = lambda step: None) -> Compared:
    """Prove a backup that the caller holds; what is found is noted either way. What was proven stays so where the drill
    could not be done.

    Raises NotAllowed, NotFound, Unfit (it cannot be taken), Unavailable; OtherKey and what else is wrong with the key,
    and NoRoom, which say nothing of the backup.
    """
    require(by, Permission.SERVER_MANAGE)
    backup = _restorable(backup_id, by)
    try:
        key = _key(backup)
    except AppError as error:
        backups.not_drilled(backup_id, error.sentence, by=by)
        raise
    try:
        _require_room()
        there = place(backup.place)
        with _scratch_database() as url, unpacked(there, backup.name, key, say=say) as (dump, manifest):
            found = restored(dump, manifest, url, say=say)
    except Cancelled:
        backups.not_drilled(backup_id, None, by=by)
        raise
    except Exception as error:
        sentence = error.sentence if isinstance(error, AppError) else "It failed for a reason that is in the log."
        if isinstance(error, NoRoom) or (backup.drill == Drill.MATCHES and not isinstance(error, Unfit)):
            backups.not_drilled(backup_id, sentence, by=by)
        else:
            backups.drilled(backup_id, Drill.FAILED, seconds=None, differences=[sentence], by=by)
        raise
    outcome = Drill.DIFFERS if found.differences else Drill.MATCHES
    backups.drilled(backup_id, outcome, seconds=found.seconds, differences=found.differences, by=by)
    return found


def _restorable(backup_id: int, by: Actor) -> Backup:
    backup = backups.get(backup_id, by=by)
    if backup.state != backups.State.DONE:
        raise NotFound(f"Backup {backup_id} is {backup.state}: there is nothing to restore.")
    return backup


def _key(backup: Backup) -> Key | None:
    """The key that opens it. Raises OtherKey, NotFound, InvalidInput, Unavailable."""
    if backup.key is None:
        return None
    key = backup_key.read()
    if key.name != backup.key:
        raise OtherKey(
            f"Backup {backup.id} opens with another key than {backup_key.path()}: with the one whose public part is "
            f"{backup.key}. Name its file with APPOINTMENT360_BACKUP_KEY."
        )
    return key


def _require_room() -> None:
    """For the dump below the home, and for the restored database beside ours. Raises NoRoom."""
    with database.reading() as session:
        size = session.scalars(text("SELECT pg_database_size(current_database())")).one()
    for folder in (home(), disks.database_folder()):
        if folder is not None:
            disk_space.require(folder, size, "a drill")


def restored(dump: Path, manifest: Manifest, url: str, *, say: Say) -> Compared:
    """Restore into the empty database at `url`, and compare what it holds then. Raises Unavailable."""
    say("restore")
    began = time.monotonic()
    without = postgres_restore.restore(dump, url, manifest)
    seconds = time.monotonic() - began
    say("compare")
    now = backup_content.read(libpq_url(url), at_once=2)
    was = Content(manifest.tables, dict(manifest.shape), manifest.newest_import, manifest.roles, manifest.sequences)
    if without:
        was.shape["grants"] = now.shape["grants"] = []
    found = backup_content.differences(was, now) + _sign_in(url)
    return Compared(len(now.tables), sum(rows for rows, _ in now.tables.values()), seconds, found, without)


@contextmanager
def unpacked(
    there: Place, name: str, key: Key | None, *, files: Path | None = None, say: Say
) -> Iterator[tuple[Path, Manifest]]:
    """The dump's folder and the manifest of a backup that is whole and ours. Raises Unfit, NotFound, Unavailable."""
    with backup_scratch.folder() as scratch:
        say("read")
        manifest = manifest_of(there, name, key, scratch)
        archive = _archive(there, name, key, scratch)
        dump = scratch / "dump"
        backup_archive.unpack(archive, manifest, key, dump=dump, files=files)
        yield dump, manifest


def manifest_of(there: Place, name: str, key: Key | None, scratch: Path) -> Manifest:
    """Raises Unfit, NotFound, Unavailable."""
    to = scratch / "manifest"
    fetch_manifest(there, name, to)
    return backup_manifest.read(to.read_bytes(), key, name=name)


def fetch_manifest(there: Place, name: str, to: Path) -> None:
    """Raises Unfit where there is none, NotFound (the place), Unavailable."""
    try:
        there.fetch(name + MANIFEST, to)
    except NotFound as error:
        if isinstance(there, Folder) and not there.path.is_dir():
            raise  # the place itself
        raise Unfit(
            f"{name} is refused: its manifest is not in {there.address}. It was never finished, or is deleted."
        ) from error


def _archive(there: Place, name: str, key: Key | None, scratch: Path) -> Path:
    """The archive as a file of this machine: of a folder its own, of S3 a copy."""
    named = archive_name(name, key.name if key else None)
    path = there.path / named if isinstance(there, Folder) else scratch / named
    if isinstance(there, Folder) and path.is_file():
        return path
    try:
        there.fetch(named, path)
    except NotFound as error:
        raise Unfit(f"{name} is refused: its archive is not in {there.address} any more.") from error
    return path


def _sign_in(url: str) -> list[str]:
    """That people could sign in there: the stored hashes are such as a password is held against."""
    asked = "SELECT id, password_hash FROM public.users WHERE is_active AND password_hash IS NOT NULL ORDER BY id"
    with psycopg.connect(libpq_url(url)) as connection:
        found = connection.execute(asked).fetchone()
    if found is None:
        return []
    try:
        bcrypt.checkpw(b"whoever", str(found[1]).encode())
    except ValueError:
        return [f"Nobody could sign in as user {found[0]}: the stored hash of the password is none."]
    return []


@contextmanager
def _scratch_database() -> Iterator[str]:
    """A database beside ours, dropped at the end. A session of ours in the maintenance database holds its lock, so
    that one whose process died is known. Raises Unavailable."""
    url = libpq_url(database.Database.url or "")
    drop_left()
    with psycopg.connect(url, autocommit=True) as keeper:
        pid = keeper.info.backend_pid
        name = f"{PREFIX}{pid}"
        identifier = sql.Identifier(name)
        try:
            _drop(keeper, name)
            keeper.execute("SELECT pg_advisory_lock(%s, %s)", [database.BACKUPS_LOCK, -pid])
            keeper.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(identifier))
        except psycopg.Error as error:
            raise Unavailable(
                f"No database could be made for the drill: {str(error).strip()}. The program's role needs CREATEDB."
            ) from error
        # A restore is hundreds of statements, which would push those that people wait for out of the statistics.
        with suppress(psycopg.errors.InsufficientPrivilege):
            keeper.execute(sql.SQL("ALTER DATABASE {} SET pg_stat_statements.track = 'none'").format(identifier))
        try:
            yield conninfo.make_conninfo(url, dbname=name)
        finally:
            _drop(keeper, name)


def _drop(connection: psycopg.Connection, name: str) -> None:
    """FORCE would end an autovacuum's process, too, which is refused to a role that is no superuser; without it the
    server asks it to end."""
    # Whom it may: a superuser everybody, as FORCE did.
    asked = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = %s AND pg_has_role(usesysid, 'USAGE')"""
    connection.execute(asked, [name])
    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))


def drop_left() -> None:
    """Drop the databases of drills whose session is gone, and their folders."""
    url = libpq_url(database.Database.url or "")
    left = """SELECT d.datname FROM pg_database d WHERE d.datname ~ %s AND NOT EXISTS (
        SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.classid = %s AND d.datname = %s || l.pid)"""
    with psycopg.connect(url, autocommit=True) as connection:
        for (name,) in connection.execute(left, [f"^{PREFIX}[0-9]+$", database.BACKUPS_LOCK, PREFIX]).fetchall():
            log.info("dropping %s, which a killed drill left", name)
            _drop(connection, name)
    if not backups.anybody_at_work():
        backup_scratch.clear_left()
