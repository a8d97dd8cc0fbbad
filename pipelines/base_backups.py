"""Bases: copies of the embedded server that its archived log is applied to, by pg_basebackup; what changed since the
last one where that is known, else everything. Each is held against its own checksums by pg_verifybackup.

Reads the whole server. Writes the archive and its manifest into the place, and the numbers of the base; removes what no
moment of the last days needs, and the log before that. A second run makes another base; one whose process was killed
leaves nothing that counts, and the next one clears it away.
"""

import logging
import re
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from psycopg import conninfo

from models import database, file_places, postgres_tools, postgres_wheel, recovery, recovery_pieces
from models.database import RECOVERY_LOCK, libpq_url
from models.errors import AppError, Unavailable
from models.file_store import Place, place
from models.recovery import RecoveryBase
from models.settings import home
from pipelines import archive_wal, backup_archive, backup_key, backup_manifest, backup_store, postgres_runs, wal_files
from pipelines.backup_key import Key
from pipelines.backup_manifest import MANIFEST, Unfit, archive_name
from pipelines.heart import Cancelled

NAME = re.compile(r"base-\d{8}T\d{6}Z-[0-9a-f]{8}")
START = re.compile(r"^START WAL LOCATION: \S+ \(file ([0-9A-F]{24})\)$", re.MULTILINE)
TOLD = "backup_manifest"  # by pg_basebackup

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BaseManifest:
    """`ended_at` is when it was whole: no earlier moment can be restored from it. `start_wal` is the first piece of the
    log that it needs; `parent` is the name of the base it holds the changes since. `folders` are those that may be
    empty; `files`, `size` and `sha256` as in a backup's."""

    name: str
    system: str
    server: int
    ended_at: str
    start_wal: str
    parent: str | None
    folders: list[str]
    size: int
    sha256: str
    files: dict[str, tuple[int, str]]

    @property
    def ended(self) -> datetime:
        return datetime.fromisoformat(self.ended_at)


def make() -> RecoveryBase | None:
    """Make a base, of the changes where that is possible; None where none is wanted, or another process makes one.

    What goes wrong is noted, and raised on. Raises NotFound, Refused, NoRoom, Unavailable.
    """
    if not recovery.wanted():
        return None
    with database.claimed(RECOVERY_LOCK, 1) as is_ours:
        if not is_ours:
            return None
        clear_interrupted()
        system, parent = recovery.system(), _parent()
        try:
            made = _noted(system, parent)
        except AppError as error:
            if parent is None:
                raise
            log.warning("no base of the changes: %s", error.sentence)  # such as after a time without archiving
            made = _noted(system, None)
        retain()
        return made


def read(data: bytes, key: Key | None, *, name: str) -> BaseManifest:
    """Raises Unfit."""
    found = backup_manifest.opened(data, key, name=name)
    try:
        found["files"] = {of: tuple(pair) for of, pair in found["files"].items()}
        return BaseManifest(**found)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Unfit(f"{name} is refused: its manifest is damaged, or is none of a base.") from error


def clear_interrupted() -> None:
    """End bases whose process died. The caller holds the lock."""
    for one in recovery.running():
        recovery.fail(one.id, "Its process ended before it was whole, and nothing of it counts.")
        _clear(one)


def retain() -> None:
    """Remove the bases that no moment of the last days needs, and the log before the first one that is left, in today's
    place alone. The manifest goes first: without it a base counts for nothing."""
    for one in recovery.to_remove():
        _clear(one)
        recovery.removed(one.id)
    newest = recovery.newest()
    first = recovery.first_needed(newest.system) if newest else None
    if newest is None or first is None or newest.place != recovery.place():
        return
    there = backup_store.made_place(recovery.log_place(newest.place, newest.system))
    locked = recovery_pieces.locked(newest.system)
    for found in list(there.files()):
        segment = wal_files.segment_of(found.name)
        # A timeline's history is small, and needed for as long as anything of it.
        if not segment.endswith(".history") and segment[8:24] < first[8:24] and found.name not in locked:
            recovery_pieces.forget(newest.system, segment)  # first: what is still known is missed
            there.remove(found.name)


def kept(name: str) -> Path:
    """What pg_basebackup told of a base, which the next one is compared with; on this machine alone."""
    return home() / "recovery" / name


def _parent() -> RecoveryBase | None:
    newest = recovery.newest()
    if newest is None or newest.place != recovery.place() or not kept(newest.name).is_file():
        return None
    whole = recovery.chain(newest)
    return newest if whole[-1].parent is None and len(whole) < recovery.LONGEST_CHAIN else None


def _noted(system: str, parent: RecoveryBase | None) -> RecoveryBase:
    name = f"base-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
    base = recovery.begin(system, name, parent.id if parent else None)
    try:
        manifest, until = _made(base, parent.name if parent else None)
        recovery.finish(base.id, start_wal=manifest.start_wal, size=manifest.size, locked_until=until)
    except Cancelled:
        _given_up(base, "Somebody stopped it.")
        raise
    except AppError as error:
        _given_up(base, error.sentence)
        raise
    except Exception:
        _given_up(base, "It failed for a reason that is in the log.")
        raise
    return base


def _given_up(base: RecoveryBase, sentence: str) -> None:
    recovery.fail(base.id, sentence)
    try:
        _clear(base)
    except AppError as error:
        log.warning("what there is of %s stays in %s: %s", base.name, base.place, error.sentence)


def _made(base: RecoveryBase, parent: str | None) -> tuple[BaseManifest, datetime | None]:
    key, _ = backup_key.wanted()
    there = backup_store.made_place(base.place)
    folder = archive_wal.work_folder() / base.name
    try:
        with backup_store.disk(folder.parent):
            return _packed(base, parent, folder, key, there)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _packed(
    base: RecoveryBase, parent: str | None, folder: Path, key: Key | None, there: Place
) -> tuple[BaseManifest, datetime | None]:
    data = folder / "data"
    folder.mkdir(mode=0o700)
    server, ended = _copied(data, parent)
    archive = folder / archive_name(base.name, key.name if key else None)
    size, sha256, files = backup_archive.write(archive, None, _files(data), key)
    manifest = BaseManifest(
        base.name, base.system, server, ended.isoformat(), _start(data), parent,
        sorted(str(path.relative_to(data)) for path in data.rglob("*") if path.is_dir()), size, sha256, files,
    )  # fmt: skip
    told = kept(base.name)
    told.parent.mkdir(mode=0o700, exist_ok=True)
    shutil.copyfile(data / TOLD, told)
    return manifest, backup_store.put(there, archive, backup_manifest.written(manifest, key), base.name)


def _copied(data: Path, parent: str | None) -> tuple[int, datetime]:
    """Copy the server; its major version, and the moment by its clock when that was done. Raises Unavailable."""
    url = libpq_url(database.Database.url or "")
    with psycopg.connect(url, autocommit=True) as connection:
        version = connection.info.server_version // 10_000
        # A replication connection takes no database; the server is ours, and never speaks TLS.
        address, environment = postgres_tools.connection(conninfo.make_conninfo(url, dbname="", sslmode="disable"))
        since = [f"--incremental={kept(parent)}"] if parent else []
        command = [_program("pg_basebackup", version), "-d", address, "-D", data, "-Fp", "-Xstream", "-cfast", *since]
        postgres_runs.execute([str(one) for one in command], environment, "The server could not be copied")
        verify(data, version)
        (ended,) = connection.execute("SELECT clock_timestamp()").fetchone() or (None,)
    assert isinstance(ended, datetime)
    return version, ended


def verify(data: Path, version: int) -> None:
    """Hold a copy of a server against its own checksums. Raises Unavailable."""
    command = [str(_program("pg_verifybackup", version)), "--quiet", str(data)]
    postgres_runs.execute(command, postgres_wheel.environment(), "The copy of the server is damaged")


def _program(name: str, version: int) -> Path:
    return postgres_tools.program(name, url="", server=version)


def _start(data: Path) -> str:
    found = START.search((data / "backup_label").read_text())
    if found is None:
        raise Unavailable("The copy of the server does not say where its log begins: back up again.")
    return found[1]


def _files(data: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(data.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield str(path.relative_to(data)), path


def _clear(base: RecoveryBase) -> None:
    """What there is of it, whole or not."""
    shutil.rmtree(home() / "backup-work" / base.name, ignore_errors=True)
    kept(base.name).unlink(missing_ok=True)
    if not file_places.is_s3(base.place) and not Path(base.place).is_dir():
        return
    there: Place = place(base.place)
    for name in (base.name + MANIFEST, archive_name(base.name, None), archive_name(base.name, "age")):
        there.remove(name)
