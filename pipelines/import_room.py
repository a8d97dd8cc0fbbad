"""Whether an import's next step has room, before it begins: that is asked of the disk of its files and of the
database's, where that is on this machine.

What a step writes was measured; see NEEDS. An import that is refused stays where it is. Where it was asked for on a
screen, over the API or by a watched folder it goes on by itself once there is room; else somebody resumes it.
"""

from pathlib import Path

from models import disk_space, disks, import_files, imports, stored_files
from models.imports import Import, State, folder
from pipelines.import_steps import store_path

# What the step that begins in this state writes at most: a multiple of the cells beside the upload; into the database
# a multiple of them, and bytes for each row. Measured with 40,000 narrow, wide and rejected rows, as a first import and
# as a second one that changes all of them.
NEEDS = {
    State.NEW: (1.0, 0.0, 0),
    State.OPENED: (0.5, 1.5, 60),
    State.STAGED: (0.5, 0.7, 200),
    State.CHECKED: (0.5, 0.7, 200),
}
# The same for each row that a commit creates, or changes: the version before is kept, so that is written twice.
CREATED, UPDATED = (1.5, 700), (4.5, 700)
WORDS = {
    State.NEW: "opening", State.OPENED: "staging", State.STAGED: "checking and planning", State.CHECKED: "planning",
    State.PLANNED: "committing",
}  # fmt: skip


def require(found: Import) -> None:
    """For the step after the state in which the import is. Raises NoRoom."""
    state = State(found.state)
    what = f"{WORDS[state]} import {found.id}"
    beside, into = needed(found)
    if state is State.NEW and import_files.is_shared(found):
        beside += import_files.size(found)  # it comes here first
    disk_space.require(folder(found.id), beside, what, then="go on")
    if into and (database := disks.database_folder()) is not None:
        disk_space.require(database, into, what, then="go on")


def is_there(found: Import) -> bool:
    """Whether its next step has room, or needs none."""
    if found.state not in WORDS:
        return True
    try:
        require(found)
    except disk_space.NoRoom:
        return False
    return True


def needed(found: Import) -> tuple[int, int]:
    """What the next step may write beside the upload, and into the database, in bytes."""
    cells, rows = _cells(found), max(found.rows, int((found.opened or {}).get("rows") or 0))
    if found.state == State.PLANNED:
        written = ((found.created, CREATED), (found.updated, UPDATED))
        return 0, int(sum(number * (cells / max(rows, 1) * times + each) for number, (times, each) in written))
    beside, into, each = NEEDS[State(found.state)]
    return int(cells * beside), int(cells * into + rows * each)


def require_copy(path: Path) -> None:
    """For a copy of the file below the home, before there is an import of it: a store that all hosts share says itself
    when it is full. Raises NoRoom, OSError."""
    if stored_files.are_shared():
        return
    disk_space.require(imports.folder(0).parent, path.stat().st_size, path.name, then="import it again")


def _cells(found: Import) -> int:
    """The larger of the file, which may be packed, and of its opened cells, which are packed otherwise."""
    store = store_path(found.id)
    return max(import_files.size(found), store.stat().st_size if store.is_file() else 0)
