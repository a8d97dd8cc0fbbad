"""A look at a watched folder: `python -m pipelines.watch_folders FOLDER`. Its new files become imports, each once.

Reads the place that is watched, and what earlier looks noted of it. Writes the files that are new, and stand still,
below the home, an import and an order for each, and what it saw. The sweep starts it when the folder is due, the flow
`watch-folders` by hand; the imports are carried out like those of a screen. A second look finds nothing new, and one
that was killed is begun again.
"""

import argparse
import logging
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path

from sqlalchemy import func, select

from models import disk_space, garbage, import_files, imports, stored_files, watched_files, watched_looks
from models.database import WATCHING_LOCK, claimed, reading
from models.disk_space import NoRoom
from models.errors import AppError, InvalidInput, NotFound, Unavailable
from models.file_store import Found, Place, Refused, place
from models.import_files import Put
from models.permissions import Actor
from models.settings import home
from models.watched_files import Sight, WatchedName
from models.watched_folders import WatchedFolder
from pipelines.own_database import bind_database
from pipelines.recorded import recorded

STILL = timedelta(minutes=1)  # a file that nobody changed for so long is taken at the first look
AT_ONCE = 500  # files that are compared with what is known of them
MOST_UNREAD = 3  # files that cannot be read just now: more mean that it is the place
MARK = ".import"

log = logging.getLogger(__name__)


@dataclass
class Looked:
    """Files by what the look did with them: new imports' ids, and numbers of the others; those `unread` are tried again
    by the next look. `error` is why it ended, or what is wrong with the last of these."""

    imports: list[int]
    growing: int = 0
    known: int = 0
    failed: int = 0
    unread: int = 0
    error: str | None = None


def look(folder_id: int) -> Looked | None:
    """Look at the folder; None where another process does so just now. What goes wrong is noted with the folder.

    Raises NotFound.
    """
    with claimed(WATCHING_LOCK, folder_id) as is_ours:
        if not is_ours:
            return None
        looked = Looked([])
        try:
            folder, by = watched_looks.begin(folder_id)
            with recorded("watch-folders", subject=f"folder {folder_id}", asked_by=by.id) as run:
                _look(folder, by, looked)
                run.tell(imports=len(looked.imports), known=looked.known, failed=looked.failed, unread=looked.unread)
        except AppError as error:
            looked.error = error.sentence
        except Exception:
            reference = secrets.token_hex(4).upper()
            log.exception("reference %s", reference)
            looked.error = f"Something went wrong on our side. Reference {reference}."
        watched_looks.end(folder_id, looked.error)
        return looked


def look_at_all(*, due_only: bool = True) -> dict[int, Looked | None]:
    """Look at every folder that is due, or at all that are active; folder -> what was seen."""
    return {folder_id: look(folder_id) for folder_id in watched_looks.due(due_only=due_only)}


def _look(folder: WatchedFolder, by: Actor, looked: Looked) -> None:
    ours = home() / "watched" / str(folder.id)
    _clear_left(ours)
    watched = place(folder.address)
    with reading() as session:
        now = session.scalars(select(func.clock_timestamp())).one()
    matching = (one for one in watched.files() if fnmatchcase(one.name.lower(), folder.pattern.lower()))
    for some in _some(matching):
        before = watched_files.known(folder.id, [_stored(one.name) for one in some])
        for one in some:
            _look_at(folder, by, watched, one, before.get(_stored(one.name)), now, ours, looked)


def _look_at(
    folder: WatchedFolder,
    by: Actor,
    watched: Place,
    found: Found,
    before: WatchedName | None,
    now: datetime,
    ours: Path,
    looked: Looked,
) -> None:
    sight = Sight(_stored(found.name), found.size, found.modified, found.version)
    is_same = before is not None and (before.size, before.version) == (found.size, found.version)
    if is_same and before is not None and before.content is not None:
        looked.known += 1
        return
    if not is_same and found.modified > now - STILL:
        watched_files.note(folder.id, sight)
        looked.growing += 1
        return
    copy = ours / "copy"
    try:
        disk_space.require(home(), found.size, found.name, then="look again")
        fetched = watched.fetch(found.name, copy)
    except NotFound:
        return  # it was taken away since
    except (Refused, InvalidInput) as error:
        watched_files.refuse(folder.id, sight, error.sentence)
        looked.failed += 1
        return
    except NoRoom:
        raise
    except Unavailable as error:  # it does not keep the others from their turn
        looked.unread, looked.error = looked.unread + 1, error.sentence
        if looked.unread > MOST_UNREAD:
            raise
        return
    if fetched.size != found.size or fetched.version not in (None, found.version):
        watched_files.note(folder.id, sight)  # it grew while it was read
        looked.growing += 1
    elif made := watched_files.take(folder, sight, fetched.sha256, _Storing(copy), by=by):
        _mark(ours, made).unlink(missing_ok=True)
        looked.imports.append(made)
    else:
        looked.known += 1
    copy.unlink(missing_ok=True)


class _Storing:
    """Moves the copy into the place of its import. A mark tells the next look where, should this process die before
    the import is committed: nothing else would ever find it."""

    def __init__(self, copy: Path) -> None:
        self._copy = copy

    def __call__(self, import_id: int, name: str) -> Path | Put:
        if stored_files.are_shared():
            return import_files.put(import_id, self._copy)
        target = imports.folder(import_id) / "upload" / name
        _mark(self._copy.parent, import_id).touch()
        _sync(self._copy.parent)
        target.parent.mkdir(parents=True, exist_ok=True)
        self._copy.replace(target)
        for folder in (target.parent, target.parent.parent, target.parent.parent.parent):
            _sync(folder)
        return target


def _clear_left(ours: Path) -> None:
    """Remove what a look that died left here, and the file of an import that it did not come to make."""
    ours.mkdir(parents=True, exist_ok=True)
    for path in ours.iterdir():
        if path.suffix == MARK and path.stem.isdecimal() and not watched_files.is_made(int(path.stem)):
            shutil.rmtree(imports.folder(int(path.stem)), ignore_errors=True)
        path.unlink(missing_ok=True)


def _mark(ours: Path, import_id: int) -> Path:
    return ours / f"{import_id}{MARK}"


def _sync(folder: Path) -> None:
    if os.name != "posix":  # Windows opens no folders
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _stored(name: str) -> str:
    """The name as a database takes it: bytes of it that are no UTF-8 are not."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _some(found: Iterable[Found]) -> Iterator[list[Found]]:
    files = iter(found)
    while some := list(islice(files, AT_ONCE)):
        yield some


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m pipelines.watch_folders", description=__doc__)
    parser.add_argument("folder_id", type=int, metavar="FOLDER")
    chosen = parser.parse_args(arguments)
    try:
        bind_database()
        looked = look(chosen.folder_id)
    except AppError as error:
        log.error("%s", error)
        return 1
    if looked and looked.error:
        log.error("folder %s: %s", chosen.folder_id, looked.error)
    return 0


if __name__ == "__main__":
    garbage.seldom_sought()
    raise SystemExit(main())
