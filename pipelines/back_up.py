"""Backups: the database as pg_dump's directory, from one snapshot in which also every table is counted and hashed, and
the stored files, packed, encrypted and put into their place; the manifest goes last and makes it valid.

Reads the whole database, and the uploads and exports below the home. Writes the archive and its manifest into the
place, and the numbers of the backup; removes what no generation needs, and what interrupted ones left. A second run
makes another backup; one beside another process waits for nobody, since each has its own name.
"""

import logging
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from models import backups, database, disk_space, file_places, postgres_tools, recovery
from models.backups import FLOW, Backup, Made, State
from models.database import libpq_url
from models.errors import AppError, Unavailable
from models.file_store import place
from models.permissions import OPERATOR, Actor
from models.settings import home, settings
from models.users import acting
from pipelines import (
    archive_wal,
    backup_archive,
    backup_content,
    backup_key,
    backup_store,
    base_backups,
    drill,
    look_at_recovery,
    postgres_runs,
)
from pipelines.backup_manifest import MANIFEST, Manifest, archive_name, written
from pipelines.heart import Cancelled, Run
from pipelines.recorded import recorded

JOBS = 2
TRIES = 3  # a table that an import drops meanwhile ends pg_dump
Say = Callable[[str], None]

log = logging.getLogger(__name__)


def make(*, by: Actor, say: Say = lambda step: None, drilled: bool | None = None) -> Backup:
    """Ask for a backup and carry it out; `drilled` None is as the setting says. Raises NotAllowed, Unavailable, …"""
    backup_id = backups.ask(by=by)
    run(backup_id, say=say, drilled=drilled)
    return backups.get(backup_id, by=by)


def run(backup_id: int, *, say: Say = lambda step: None, drilled: bool | None = None) -> bool:
    """Carry out what was asked for, as a run among the jobs; whether there was something to do. What goes wrong is
    noted, and raised on.

    Raises Conflict where another process has it, NotFound, NotAllowed, Unavailable and other AppErrors.
    """
    with backups.claimed(backup_id):
        found = backups.begin(backup_id)
        if found is None:
            return False
        with recorded(FLOW, subject=f"backup {backup_id}", asked_by=found.asked_by) as noted:
            _carry_out(found, noted, say, drilled)
    return True


def _carry_out(found: Backup, noted: Run, say: Say, drilled: bool | None) -> None:
    """The caller holds the backup."""

    def step(name: str) -> None:
        noted.says(backups.STEPS[name])
        say(name)

    by = _whole(found, noted, step)
    failed = None
    drilled = settings().backup_drill if drilled is None else drilled
    if drilled:
        try:
            compared = drill.prove(found.id, by=by, say=step)
            noted.tell(restore_seconds=round(compared.seconds, 1), differences=len(compared.differences))
        except AppError as error:  # raised on; the rest does not depend on it, and what is removed may make room
            failed = error
    retain()
    if recovery.wanted():
        _base(step, read=drilled)
    noted.tell(proven=backups.get(found.id, by=OPERATOR).proven)
    if failed is not None:
        raise failed


def _whole(found: Backup, noted: Run, say: Say) -> Actor:
    """Bring it into its place; who asked for it. What goes wrong leaves nothing of it, is noted, and raised on."""
    try:
        by = acting(found.asked_by, f"Backup {found.id}")
        _clear(found)  # of the try before, whose process died
        made = _made(found, say)
        backups.finish(found.id, made, by=by)
    except Cancelled:
        _given_up(found, "Somebody stopped it.")
        raise
    except AppError as error:
        _given_up(found, error.sentence)
        raise
    except Exception:
        _given_up(found, "It failed for a reason that is in the log.")
        raise
    noted.tell(backup=found.id, tables=made.tables, rows=made.rows, files=made.files, bytes=made.bytes)
    return by


def _given_up(backup: Backup, sentence: str) -> None:
    backups.fail(backup.id, sentence)
    try:
        _clear(backup)
    except AppError as error:
        log.warning("what there is of backup %s stays in %s: %s", backup.id, backup.place, error.sentence)


def _base(say: Say, *, read: bool) -> None:
    """With the backup goes a base for restoring to a moment, where that is wanted; without one the backup is good. It
    builds on what is there, and with `read` on what was found whole."""
    try:
        if read:
            say("log")
            look_at_recovery.read_through()
        say("base")
        look_at_recovery.look()
        base_backups.make()
        archive_wal.ship()
    except AppError as error:  # noted, and told as an alert
        log.warning("no base: %s", error.sentence)


def carry_out(backup_id: int) -> str:
    """Make a backup that waits, or drill one where somebody asked for that; what was done. Raises as `run`, but for
    one that another process has: that does it."""
    try:
        if run(backup_id):
            return "made"
        found = backups.get(backup_id, by=OPERATOR)
        if found.drill_asked_at is None:
            return "it is over"
        compared = drill.run(backup_id, by=_drill_asker(found))
    except backups.Held as busy:
        return busy.sentence
    return "differs" if compared.differences else "proven"


def _drill_asker(backup: Backup) -> Actor:
    try:
        return acting(backup.drill_asked_by, f"The drill of backup {backup.id}")
    except AppError as error:
        backups.not_drilled(backup.id, error.sentence, by=OPERATOR)
        raise


def clear_interrupted() -> None:
    """End backups whose process died, and remove what they left, in their place and here. For the sweep."""
    for one in backups.interrupted():
        try:
            # Looked at once more while nobody else has it: it may have become whole since.
            with backups.claimed(one.id):
                if backups.get(one.id, by=OPERATOR).state == State.RUNNING:
                    log.info("backup %s was interrupted", one.id)
                    _given_up(one, "Its process ended before it was whole, and nothing of it counts: make another one.")
        except backups.Held:
            continue
    drill.drop_left()


def retain() -> list[str]:
    """Remove the backups that no generation needs; their names. The manifest goes first: without it none is valid."""
    gone = []
    for one in backups.to_remove():
        try:
            with backups.claimed(one.id):  # nobody restores or drills it
                _clear(one)
                backups.removed(one.id)
        except AppError as error:  # it is tried again after the next backup
            log.warning("backup %s stays: %s", one.id, error.sentence)
            continue
        gone.append(one.name)
    return gone


def work_folder(backup: Backup) -> Path:
    return home() / "backup-work" / backup.name


def _clear(backup: Backup) -> None:
    """What there is of it, whole or not."""
    shutil.rmtree(work_folder(backup), ignore_errors=True)
    if not file_places.is_s3(backup.place) and not Path(backup.place).is_dir():
        return
    there = place(backup.place)
    there.remove(backup.name + MANIFEST)
    for key in (None, "age"):
        there.remove(archive_name(backup.name, key))


def _made(backup: Backup, say: Say) -> Made:
    key, new = backup_key.wanted()
    if new:
        log.warning("A key was made for the backups: %s. %s", backup_key.path(), backup_key.LOSING_IT)
    there = backup_store.made_place(backup.place)
    with _folder(work_folder(backup)) as folder:
        say("dump")
        content, server = _dumped(folder / "dump")
        say("pack")
        archive = folder / archive_name(backup.name, key.name if key else None)
        size, sha256, files = backup_archive.write(archive, folder / "dump", stored_files(), key)
        shutil.rmtree(folder / "dump")
        manifest = Manifest(
            backup.name, datetime.now(UTC).isoformat(), server, size, sha256, content.tables, content.shape,
            content.newest_import, content.roles, files, content.sequences,
        )  # fmt: skip
        say("store")
        locked = backup_store.put(there, archive, written(manifest, key), backup.name)
    made_key = key.name if key else None
    return Made(size, len(content.tables), manifest.rows, len(files), made_key, locked)


def _dumped(to: Path) -> tuple[backup_content.Content, int]:
    """The dump, what it holds, and the server's major version. Raises Unavailable."""
    for left in reversed(range(TRIES)):
        try:
            return _dump(to)
        except Unavailable:
            if not left:
                raise
            shutil.rmtree(to, ignore_errors=True)
    raise AssertionError


def _dump(to: Path) -> tuple[backup_content.Content, int]:
    url = libpq_url(database.Database.url or "")
    with psycopg.connect(url) as connection:
        connection.isolation_level, connection.read_only = psycopg.IsolationLevel.REPEATABLE_READ, True
        connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")  # it waits for pg_dump
        snapshot, version, size = connection.execute(
            """SELECT pg_export_snapshot(), current_setting('server_version_num')::int,
            pg_database_size(current_database())"""
        ).fetchone() or ("", 0, 0)
        disk_space.require(home(), size, "a backup")  # a dump is smaller than its tables with their indexes
        server = version // 10_000
        program = postgres_tools.program("pg_dump", url=url, server=server)
        address, environment = postgres_tools.connection(url)
        # Not compressed: zstd packs the same in a tenth of the time that pg_dump's gzip takes.
        command = [program, "-d", address, "-Fd", "-Z0", "--no-sync", f"-j{JOBS}", f"--snapshot={snapshot}", "-f", to]
        given = backup_content.sequences(url)
        with ThreadPoolExecutor(1) as beside:
            counted = beside.submit(backup_content.read, url, snapshot=snapshot)
            postgres_runs.execute([str(one) for one in command], environment, "The database could not be read out")
            return replace(counted.result(), sequences=given), server


def stored_files() -> Iterator[tuple[str, Path]]:
    """The uploads and exports below the home, by their path there: no file that is still being written."""
    below = home()
    for pattern in ("imports/*/upload/*", "exports/*/*"):
        for path in sorted(below.glob(pattern)):
            if path.is_file() and not path.is_symlink() and not path.name.startswith("."):
                yield str(path.relative_to(below)), path


@contextmanager
def _folder(path: Path) -> Iterator[Path]:
    try:
        with backup_store.disk(path.parent):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def back_up_due(noted: Run, *, asked_by: int | None = None) -> None:
    """What the flow does by schedule, or when somebody starts it as a job."""
    backup_id = backups.ask(by=acting(asked_by, "A backup"))
    with backups.claimed(backup_id):
        found = backups.begin(backup_id)
        if found is not None:
            noted.tell(backup=backup_id)
            _carry_out(found, noted, lambda step: None, None)
