"""What a restore to a moment takes from the place: the last base before it with those it builds on, and the log after.

Reads the place, and writes folders that the caller names. It knows no database: it serves who has none left.
"""

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from models.errors import Conflict, NotFound, Unavailable
from models.file_store import Place
from pipelines import backup_archive, backup_manifest, base_backups, wal_files
from pipelines.backup_key import Key
from pipelines.backup_manifest import MANIFEST, Unfit, archive_name
from pipelines.base_backups import NAME, BaseManifest

Names = dict[str, str]
ANY_TIMELINE = slice(8, 24)
PIECE = 16 * 1024 * 1024  # bytes of a piece of the log
FORK = re.compile(r"\s*(\d+)\s+([0-9A-F]+)/([0-9A-F]+)")  # a line of a timeline's history
NEVER = 1 << 64


def keys_needed(there: Place, scratch: Path) -> bool:
    """Whether any base of the place is encrypted. Raises NotFound, Unfit, Unavailable."""
    return any(backup_manifest.key_of(_manifest(there, name, scratch)) for name in _bases(there))


def chain(
    there: Place, moment: datetime | None, key: Key | None, scratch: Path, *, logs: Callable[[str], Place]
) -> list[BaseManifest]:
    """The base to begin with (of None the last one), and those it holds the changes since: the full one first. `logs`
    is where the log of a server lies, by its system identifier: what a restore to an earlier moment left behind is no
    base of anything later. Raises Conflict where no base is as old as the moment, NotFound, Unfit, Unavailable."""
    found = {one.name: one for one in _read(there, key, scratch)}
    if not found:
        raise NotFound(f"There is no base in {there.address}: no moment can be restored from there.")
    fitting = [one for one in found.values() if moment is None or one.ended <= moment]
    if not fitting:
        first = min(one.ended for one in found.values())
        raise Conflict(f"No base is that old: the first moment that can be restored is {first:%Y-%m-%d %H:%M:%S} UTC.")
    leads = {system: _forks(logs(system), system, key, scratch) for system in {one.system for one in fitting}}
    fitting = [one for one in fitting if not _is_left_behind(one, leads[one.system])] or fitting
    chosen = [max(fitting, key=lambda one: one.ended)]
    while (parent := chosen[-1].parent) is not None:
        if parent not in found:
            raise Unfit(f"{chosen[-1].name} cannot be used: {parent}, which it builds on, is not in {there.address}.")
        chosen.append(found[parent])
    return chosen[::-1]


def _forks(log: Place, system: str, key: Key | None, scratch: Path) -> dict[int, int]:
    """Of the newest timeline and those it comes from: its number -> where it was left, in bytes of the log. Raises
    Unfit, Unavailable."""
    histories = [one.name for one in log.files() if wal_files.segment_of(one.name).endswith(".history")]
    if not histories:
        return {}
    newest, packed = max(histories), scratch / "history"
    log.fetch(newest, packed)
    told = wal_files.read(packed.read_bytes(), wal_files.segment_of(newest), system, key).decode()
    packed.unlink()
    found = {int(newest[:8], 16): NEVER}
    for line in told.splitlines():
        if match := FORK.match(line):
            found[int(match[1])] = (int(match[2], 16) << 32) + int(match[3], 16)
    return found


def _is_left_behind(base: BaseManifest, forks: dict[int, int]) -> bool:
    """Whether it was begun after its timeline was left: a base begins with a piece of the log of its own."""
    return bool(forks) and _number(base.start_wal) * PIECE >= forks.get(int(base.start_wal[:8], 16), 0)


def unpack(there: Place, base: BaseManifest, key: Key | None, to: Path, scratch: Path) -> None:
    """The files of a base into the folder `to`, each as it was. Raises Unfit, Unavailable."""
    name = archive_name(base.name, key.name if key else None)
    archive = scratch / name
    try:
        there.fetch(name, archive)
    except NotFound as error:
        raise Unfit(f"{base.name} is refused: its archive is not in {there.address} any more.") from error
    to.mkdir(mode=0o700)
    for folder in base.folders:
        (to / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    backup_archive.unpack(archive, base, key, dump=None, files=to)
    archive.unlink()


def fetch_log(there: Place, base: BaseManifest, key: Key | None, to: Path, scratch: Path) -> int:
    """The pieces of the log from where the base needs it, opened, into the folder `to`; how many. All that are there:
    which of them the moment needs is in them. Raises Unfit where one is damaged or missing in between, Unavailable."""
    to.mkdir(mode=0o700)
    found = {wal_files.segment_of(one.name): one.name for one in there.files()}
    wanted = {one: name for one, name in found.items() if _is_needed(one, base.start_wal)}
    _require_whole(sorted(one for one in wanted if _is_piece(one)), base.start_wal)
    for segment, name in wanted.items():
        packed = scratch / "piece"
        there.fetch(name, packed)
        (to / segment).write_bytes(wal_files.read(packed.read_bytes(), segment, base.system, key))
        packed.unlink()
    return len(wanted)


def _is_piece(name: str) -> bool:
    return len(name) == 24


def _is_needed(name: str, start: str) -> bool:
    return name.endswith(".history") or (_is_piece(name) and name[ANY_TIMELINE] >= start[ANY_TIMELINE])


def _require_whole(pieces: list[str], start: str) -> None:
    """A piece may be there once for each timeline; its number goes on over all of them."""
    numbers = sorted({_number(one) for one in pieces})
    expected = _number(start)
    for number in numbers:
        if number != expected:
            raise Unfit(
                f"The log has a hole: {expected - _number(start):,} pieces after the base one is missing. Earlier "
                "moments can be restored where a base is before them, and later ones after the next base."
            )
        expected += 1


def _number(piece: str) -> int:
    return int(piece[8:16], 16) * 256 + int(piece[16:24], 16)  # 256 pieces of 16 MB are one log file


def _read(there: Place, key: Key | None, scratch: Path) -> Iterator[BaseManifest]:
    for name in _bases(there):
        yield base_backups.read(_manifest(there, name, scratch), key, name=name)


def _bases(there: Place) -> list[str]:
    """Their names, by their manifests."""
    names = (one.name for one in there.files() if one.name.endswith(MANIFEST))
    return [name for name in (one.removesuffix(MANIFEST) for one in names) if NAME.fullmatch(name)]


def _manifest(there: Place, name: str, scratch: Path) -> bytes:
    path = scratch / "manifest"
    there.fetch(name + MANIFEST, path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror or error}.") from error
    finally:
        path.unlink(missing_ok=True)
