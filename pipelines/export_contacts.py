"""Contacts on their way out: a CSV, XLSX, Parquet or JSON lines file with its receipt.

Reads contacts, industries and users from one snapshot; writes one file and its row in exports. The file appears whole
or not at all, and a run that was killed is marked as failed, and its leavings deleted, by the next one. A second run of
a finished export changes nothing; of a failed or interrupted one it starts again.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from models import disk_space, exports, stored_files
from models import filters as filter_syntax
from models.credits import Fresh
from models.database import reading, writing
from models.errors import AppError, Conflict, InvalidInput, NotAllowed, Unavailable
from models.exports import FORMATS, Export, State
from models.filters import Filters
from models.permissions import OPERATOR, Actor, Permission, require
from models.settings import settings
from pipelines import export_file, export_select
from pipelines.export_file import Written
from pipelines.export_formats import WRITERS, Source
from pipelines.export_select import Wanted
from pipelines.heart import Run
from pipelines.recorded import recorded

Progress = Callable[[int, int], None]


def export(
    path: Path,
    *,
    filters: Filters,
    columns: list[str] | None,
    ids: Sequence[int] | None = None,
    by: Actor,
    raw_formulas: bool = False,
    view: str | None = None,
    progress: Progress | None = None,
) -> Export:
    """Write the contacts to `path`, in the format of its suffix; what was there is replaced when all is written.

    `view` is the name of the saved view that the filter is from. `progress` gets the rows written and those to write.
    Raises NotAllowed, InvalidInput, Unavailable.
    """
    require(by, Permission.CONTACTS_EXPORT)
    target = Path(path).expanduser().resolve()
    wanted = _format_of(target)
    if not target.parent.is_dir():
        raise InvalidInput(f"The folder {target.parent} does not exist: create it, or choose another place.")
    if target.is_dir():
        raise InvalidInput(f"{target} is a folder: name a file in it.")
    export_id = exports.request(
        filters=filters, columns=columns, format=wanted, ids=ids, raw_formulas=raw_formulas, view=view, by=by
    )
    export_file.sweep(target.parent, f".{target.name[:80]}.*")
    return _made(export_id, target, by=by, progress=progress)


def run(export_id: int, *, home: Path | None = None) -> Export:
    """Write a requested export to `home`/exports/<id>/, as the person who asked for it may see contacts now; where all
    hosts share a store it is brought there.

    One that is cancelled, before or meanwhile, comes back as such, without a file. Raises NotFound, NotAllowed,
    InvalidInput, Conflict (another process writes it), Unavailable.
    """
    requested = exports.get(export_id, by=OPERATOR)
    if requested.state in (State.DONE, State.CANCELLED):
        return requested
    target = exports.kept_path(requested, _home(home))
    with export_file.disk_named(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        export_file.sweep(target.parent.parent, "*/.*")
    try:
        by = exports.requester(requested)
    except NotAllowed as error:
        exports.fail(export_id, error.sentence, by=OPERATOR)
        raise
    try:
        with recorded("export-contacts", subject=f"export {export_id}", asked_by=requested.created_by) as noted:
            made = _noted(export_id, target, by, noted, exports.new_address(requested))
        with suppress(OSError):  # the file lies in it
            target.parent.rmdir()
        return made
    except Conflict:
        stopped = exports.get(export_id, by=OPERATOR)
        if stopped.state != State.CANCELLED:
            raise
        return stopped


def _noted(export_id: int, target: Path, by: Actor, noted: Run, address: str | None) -> Export:
    def progressed(rows: int, total: int) -> None:
        exports.progressed(export_id, rows)
        noted.says("writing", rows, total)

    try:
        made = _made(export_id, target, by=by, progress=progressed, address=address)
    except Conflict:
        noted.cancelled = True  # or another process writes it
        raise
    noted.tell(rows=made.rows, bytes=made.bytes)
    return made


@dataclass(frozen=True)
class _Task:
    export: Export
    target: Path
    by: Actor
    progress: Progress | None
    address: str | None = None  # in the store that all hosts share

    @property
    def path(self) -> str:
        return self.address or str(self.target)


def _made(export_id: int, target: Path, *, by: Actor, progress: Progress | None, address: str | None = None) -> Export:
    exports.fail_interrupted()
    requested = exports.get(export_id, by=OPERATOR)
    try:
        with _database_named(), reading() as session, _discarded_on_error(session):
            if not exports.lock(session, export_id):
                raise Conflict(f"Export {export_id} is being written by another process: wait for it.")
            _write(session, _Task(requested, target, by, progress, address))
    except Conflict:
        raise
    except BaseException as error:  # Ctrl-C as well: nothing may be left running
        _note_failure(export_id, error, by)
        raise
    return exports.get(export_id, by=OPERATOR)


def _write(session: Session, task: _Task) -> None:
    started = time.monotonic()
    wanted = _wanted(task)
    total, ids = export_select.extent(session, wanted)
    _require_room(session, task, total)
    fresh = exports.fresh(session, task.export, wanted.filters, by=task.by)
    exports.begin(task.export.id, total=total, path=task.path, fresh=fresh, by=task.by)
    connection = session.connection().connection.driver_connection
    assert isinstance(connection, psycopg.Connection)
    source = Source(wanted, connection, ids, task.export.raw_formulas, total)
    report = task.progress or (lambda rows, total: None)
    with export_file.beside(task.target) as out:
        rows, notes = WRITERS[task.export.format](source, out, lambda rows: report(rows, total))
        size, digest = out.sealed()
        report(rows, total)
        written = {"path": task.path, "rows": rows, "bytes": size, "sha256": digest, "notes": notes or None}
        if task.address is not None:
            place, name = stored_files.place_of(task.address)
            place.put(out.path, name, replace=True)  # nobody else has that name
        _publish(task, out, written | {"seconds": round(time.monotonic() - started, 3)}, fresh)


def _require_room(session: Session, task: _Task, total: int) -> None:
    """Before it costs anything: the rows as wide as the table's, with the names of fields where each row has them."""
    size = (
        """SELECT pg_table_size(oid) / greatest(reltuples, :rows, 1) FROM pg_class WHERE oid = 'contacts'::regclass"""
    )
    width = session.scalars(text(size), {"rows": total}).one()
    names = sum(len(name) + 6 for name in task.export.columns) if task.export.format == "jsonl" else 0
    disk_space.require(task.target.parent, int(total * (width + names)), task.target.name, then="export again")


def _publish(task: _Task, out: Written, written: dict[str, object], fresh: Fresh | None) -> None:
    """The receipt and the file appear together; a receipt that cannot be committed takes the file with it. In a store
    that all hosts share it lies already, and is found once the receipt names it."""
    moved = False
    try:
        with writing(task.by) as session:
            exports.finish(session, task.export.id, written=written, fresh=fresh, by=task.by)
            session.flush()
            if task.address is None:
                out.move_to(task.target)
                moved = True
    except BaseException:
        if moved:
            task.target.unlink(missing_ok=True)
        raise


def _wanted(task: _Task) -> Wanted:
    """Checked again when it runs: the person may see less than when it was asked for."""
    columns, by = task.export.columns, task.by
    require(by, Permission.CONTACTS_EXPORT)
    exports.checked_columns(columns, by=by)
    return Wanted(filter_syntax.parse_query(task.export.filter_query, by=by), columns, task.export.ids, by)


@contextmanager
def _database_named() -> Iterator[None]:
    try:
        yield
    except (psycopg.Error, DBAPIError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        reason = " ".join(str(cause).split())
        raise Unavailable(f"The database stopped the export: {reason}. No file was written; export again.") from error


@contextmanager
def _discarded_on_error(session: Session) -> Iterator[None]:
    """A connection that broke, or stopped in the middle of COPY, does not go back to the pool."""
    try:
        yield
    except BaseException:
        session.invalidate()
        raise


def _note_failure(export_id: int, error: BaseException, by: Actor) -> None:
    if isinstance(error, AppError):
        sentence = error.sentence
    elif isinstance(error, Exception):
        sentence = "The export failed for a reason that is in the log. No file was written."
    else:
        sentence = "The export was interrupted. No file was written."
    try:
        exports.fail(export_id, sentence, by=by)
    except DBAPIError:
        return  # the database is gone: the next export finds this one and marks it


def _format_of(path: Path) -> str:
    suffix = path.suffix.lower().removeprefix(".")
    if suffix not in FORMATS:
        raise InvalidInput(f"“{path.name}” does not say the format: end it with .csv, .xlsx, .parquet or .jsonl.")
    return suffix


def _home(home: Path | None) -> Path:
    chosen = home or settings().home
    if chosen is None:
        raise Unavailable("Where exports are kept is not known: set APPOINTMENT360_HOME.")
    return Path(chosen).expanduser().resolve()
