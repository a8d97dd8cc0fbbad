"""The life of a contact file: open, stage, check, plan, commit; undo, and the undo of that.

Each step is a plain function over stored state. It may be repeated, and whatever is killed goes on with the last step
that was finished: `run` looks where the import stands and does what is missing.
"""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import duckdb
from adbc_driver_manager import Error as AdbcError
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.orm import Session

from data_checks.gate import Gate
from models import audit, database, import_drafts, import_files, import_orders, imports, settings, stored_files
from models.audit import Event
from models.contacts import mapping as field_mapping
from models.contacts import policies, staging
from models.contacts import undo as undo_of_import
from models.database import reading, writing
from models.disk_space import NoRoom
from models.errors import Conflict, InvalidInput, Unavailable
from models.import_acceptances import NotAccepted
from models.import_files import FETCHED
from models.import_progress import Step
from models.import_servers import working
from models.imports import Import, Keep, MatchRule, Plan, Recall, State, folder
from models.permissions import OPERATOR, Actor, Permission
from pipelines import import_room, import_steps
from pipelines.attendant import Attendant, Stopped, Tell, Unattended
from pipelines.contact_files import UnreadableFile, read_opened
from pipelines.import_rejects import write_kept, write_rejects
from pipelines.import_steps import PlanMoved, is_working_copy, remove_store, say_written, store_path, with_store

__all__ = ["Busy", "WasStopped", "clear_abandoned", "create", "redo", "run", "undo", "write_kept", "write_rejects"]


class Busy(Conflict):
    """Another process works on the import."""


class WasStopped(Conflict):
    """Somebody cancelled it, or withdrew its undo or the undo of that, before it was done."""


def create(
    path: Path,
    *,
    mapping: dict[str, str] | None = None,
    left_out: Sequence[str] = (),
    match: MatchRule,
    keep: Keep,
    keep_fields: Mapping[str, Keep] | None = None,
    dated_by: str | None = None,
    recall: Recall | None = None,
    by: Actor,
) -> int:
    """A new import of the file at `path`, which is copied to the stored files; the headers `left_out` go nowhere.

    `keep_fields` are the fields, or "extra", of another policy than `keep`. `dated_by` is the header that says when a
    row was changed; "" takes the moment of the file, None what the headers propose.
    With `recall` it is mapped by what is remembered, where `mapping` and `left_out` do not say otherwise. Raises
    NotAllowed, InvalidInput, NoRoom (then there is no import).
    """
    imports.require_importing(by)
    if path.is_dir():
        raise InvalidInput(f"{path} is a folder: name a file in it.")
    if not path.is_file():
        raise InvalidInput(f"There is no file {path}.")
    field_mapping.check_fields(mapping or {})
    import_room.require_copy(path)
    import_id = imports.create(
        file_name=path.name, overrides=mapping or {}, left_out=left_out, match=match, keep=keep,
        keep_fields=policies.fields_named((keep_fields or {}).items()), dated_by=dated_by,
        modified=path.stat().st_mtime_ns // 1_000_000, recall=recall, by=by,
    )  # fmt: skip
    with _locked(import_id):  # while it is copied it is worked on, and once that process is dead it is interrupted
        if stored_files.are_shared():
            put = import_files.put(import_id, path)
            with writing(by) as session:
                imports.record(session, import_id, file_path=import_files.note(session, import_id, put))
            return import_id
        stored = folder(import_id) / "upload" / path.name
        try:
            stored.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, stored)
        except OSError as error:
            raise Unavailable(f"{path.name} could not be stored in {stored.parent}: {error.strerror}.") from error
        with writing(by) as session:
            imports.record(session, import_id, file_path=str(stored))
    return import_id


def run(
    import_id: int, *, until: State = State.COMMITTED, by: Actor, progress: Tell | None = None, hints: bool = True
) -> Import:
    """Do every step that is missing, up to `until`; returns the import as it then stands.

    `hints` adds to errors the command that goes on; a screen has its own ways. Raises NotAllowed, NotFound,
    UnreadableFile, Conflict (undone, failed, cancelled, or the data moved since the plan), NotAccepted, Busy,
    WasStopped, Unavailable (the database or the disk; the import can be resumed).
    """
    imports.require_importing(by)
    with claimed(import_id):
        return go_on(import_id, until=until, by=by, progress=progress, hints=hints)


def go_on(
    import_id: int,
    *,
    until: State,
    by: Actor,
    plan: Plan | None = None,
    progress: Tell | None = None,
    hints: bool = True,
) -> Import:
    """`run` for who has claimed the import already. `plan` is the one that somebody wants to have committed, where it
    is not the one that is stored now: another one is not committed, which is a Conflict.
    """
    imports.require_importing(by)
    with _attended(import_id, by, progress, hints=hints, command="resume") as attendant, ExitStack() as opened:
        wanted = plan or _stored_plan(imports.get(import_id, by=by))
        _notice_lost_rows(import_id, by)
        gate, begun = Gate(settings.home()), False
        while (step := _next_step(found := imports.get(import_id, by=by), until)) is not None:
            if wanted and found.state == State.PLANNED:
                _require_same_plan(wanted, found)
            if found.state in (State.OPENED, State.STAGED) and not begun:
                # The check's process starts while the rows are staged. While the file is opened there is no room for
                # it: three million rows and both would take more than 1 GB.
                opened.enter_context(gate)
                begun = True
            _require_room(found, by)
            started = time.monotonic()
            step(import_id, gate, by, attendant)
            _add_seconds(import_id, time.monotonic() - started, by)
        return imports.get(import_id, by=by)


STEPS: dict[State, Callable[[int, Gate, Actor, Unattended], None]] = {
    State.NEW: import_steps.open_file,
    State.OPENED: import_steps.stage,
    State.STAGED: import_steps.check_and_plan,
    State.CHECKED: import_steps.plan,
    State.PLANNED: import_steps.commit,
}
ORDER = [*STEPS, State.COMMITTED]


def undo(import_id: int, *, by: Actor, hints: bool = True) -> dict[str, int]:
    """Take a committed import back: {"removed", "restored", "kept"}.

    Raises NotAllowed, NotFound, Conflict, Busy, WasStopped, Unavailable.
    """
    imports.require_importing(by, Permission.IMPORTS_UNDO)
    with claimed(import_id):
        return take_back(import_id, by=by, hints=hints)


def redo(import_id: int, *, by: Actor, hints: bool = True) -> dict[str, int]:
    """Take the undo of an import back: {"returned", "restored", "kept"}. It is a committed one then, as before.

    Raises NotAllowed, NotFound, Conflict, Busy, WasStopped, Unavailable.
    """
    imports.require_importing(by, Permission.IMPORTS_UNDO)
    with claimed(import_id):
        return bring_back(import_id, by=by, hints=hints)


def take_back(import_id: int, *, by: Actor, hints: bool = True) -> dict[str, int]:
    """`undo` for who has claimed the import already."""
    imports.require_importing(by, Permission.IMPORTS_UNDO)
    refusal = f"Import {import_id} is {{}}: only a committed import can be undone."
    with (
        _attended(import_id, by, hints=hints, command="undo") as attendant,
        _standing(import_id, State.COMMITTED, refusal, Step.UNDO, attendant, by) as session,
    ):
        done = vars(undo_of_import.undo_import(session, import_id, say=partial(say_written, attendant)))
        attendant.confirm(session)
        imports.record(session, import_id, state=State.UNDONE, undone=done)
        audit.write(session, Event.IMPORT_UNDONE, f"import {import_id}", by=by, **done)
    return done


def bring_back(import_id: int, *, by: Actor, hints: bool = True) -> dict[str, int]:
    """`redo` for who has claimed the import already."""
    imports.require_importing(by, Permission.IMPORTS_UNDO)
    refusal = f"Import {import_id} is {{}}: only an import that was undone can be brought back."
    with (
        _attended(import_id, by, hints=hints, command="redo") as attendant,
        _standing(import_id, State.UNDONE, refusal, Step.REDO, attendant, by) as session,
    ):
        done = vars(undo_of_import.redo_import(session, import_id, say=partial(say_written, attendant)))
        attendant.confirm(session)
        imports.record(session, import_id, state=State.COMMITTED, undone=None)
        audit.write(session, Event.IMPORT_REDONE, f"import {import_id}", by=by, **done)
    return done


@contextmanager
def _standing(
    import_id: int, state: State, refusal: str, step: Step, attendant: Attendant, by: Actor
) -> Iterator[Session]:
    """A transaction that changes contacts while nobody else does, of an import that is in that state; else a Conflict.

    The state is looked at once more when the others have finished: the server of a process that was killed may have
    been about to commit.
    """

    def require(found: str) -> None:
        if found != state:
            raise Conflict(refusal.format(found))

    require(imports.get(import_id, by=by).state)
    attendant.says(step)
    with working(import_id, by) as session:
        session.execute(text("LOCK TABLE contacts IN SHARE ROW EXCLUSIVE MODE"))
        require(session.scalars(select(Import.state).where(Import.id == import_id)).one())
        yield session


@contextmanager
def _attended(
    import_id: int, by: Actor, progress: Tell | None = None, *, hints: bool, command: str
) -> Iterator[Attendant]:
    """The progress is shown, errors are sentences, and the work is stopped when somebody cancels it."""
    attendant = Attendant(import_id, tell=progress)
    try:
        with _sentences(import_id, by, hints=hints, command=command), attendant:
            yield attendant
    except Stopped:
        attendant.end()
        raise


def clear_cancelled() -> list[int]:
    """Remove what is left of cancelled imports whose process ended before it did so; returns their ids."""
    return [import_id for import_id in import_orders.cancelled() if import_orders.clear_cancelled(import_id)]


def clear_abandoned(*, older_than_days: int) -> list[int]:
    """Remove the opened cells and staged rows of imports that nobody came back to for so long; returns their ids.

    The upload stays: where an import was not committed, `run` makes the rest again from it.
    """
    cleared = []
    for import_id in imports.idle_for(older_than_days, among=with_store()):
        with suppress(Conflict), claimed(import_id):
            with writing(OPERATOR) as session:
                staging.drop(session, import_id)
            remove_store(import_id)
            cleared.append(import_id)
    return cleared


def clear_ended_elsewhere() -> list[int]:
    """Remove what this host still has of imports that nobody works on and that another host brought to their end, and
    files that a process here, which was killed, had fetched; returns their ids."""
    fetched, cleared = with_store(FETCHED), []
    for import_id in sorted({*fetched, *import_orders.over(among=with_store())}):
        with suppress(Conflict), _locked(import_id):
            if import_id in import_orders.over(among=[import_id]):
                remove_store(import_id)
            shutil.rmtree(import_files.folder_here(import_id), ignore_errors=True)
            cleared.append(import_id)
        with suppress(OSError):  # something is left in it
            folder(import_id).rmdir()
    return cleared


def _next_step(found: Import, until: State) -> Callable[[int, Gate, Actor, Unattended], None] | None:
    state = State(found.state)
    if found.wanted == State.CANCELLED:
        raise Stopped  # between two steps, where no attendant saw it yet; or whoever held it died before clearing it
    if state is State.CANCELLED:
        raise WasStopped(f"Import {found.id} was cancelled: import the file again instead.")
    if state is State.FAILED:
        raise Conflict(f"Import {found.id} failed: {found.error} Import a mended file instead.")
    if state is State.UNDONE:
        raise Conflict(f"Import {found.id} was undone: import the file again instead, or undo the undo.")
    if ORDER.index(state) >= ORDER.index(until):
        return None
    return STEPS[state]


@contextmanager
def claimed(import_id: int) -> Iterator[None]:
    """One process at a time; what somebody cancelled meanwhile is cleared away. Raises Busy, WasStopped."""
    try:
        with _locked(import_id):
            yield
    except Stopped as stopped:
        import_orders.clear_cancelled(import_id)
        raise WasStopped(f"Import {import_id} was stopped: nothing was written.") from stopped


@contextmanager
def _locked(import_id: int) -> Iterator[None]:
    """A killed process lets go at once, since the lock lives in its connection."""
    with database.engine().connect() as connection:
        taken = connection.scalar(text("SELECT pg_try_advisory_lock(:lock, :id)"), _claim(import_id))
        connection.commit()
        if not taken:
            raise Busy(f"Import {import_id} is being worked on by another process.")
        try:
            yield
        finally:
            _let_go(connection, import_id)


def _claim(import_id: int) -> dict[str, int]:
    return {"lock": database.IMPORTS_LOCK, "id": import_id}


def _let_go(connection: Connection, import_id: int) -> None:
    try:
        connection.execute(text("SELECT pg_advisory_unlock(:lock, :id)"), _claim(import_id))
    except DBAPIError:
        connection.invalidate()  # the connection is gone, and its lock with it; what ended it is on its way up


@contextmanager
def _sentences(import_id: int, by: Actor, *, hints: bool, command: str) -> Iterator[None]:
    """Errors of the parts as sentences; a file that cannot be read ends the import, anything else can be resumed."""
    again = f"Nothing was lost: `appointment360 imports {command} {import_id}` goes on from here."
    if not hints:
        again = "Nothing was lost."
    try:
        yield
    except PlanMoved as moved:
        if not hints:
            raise
        plans = (
            f"`appointment360 imports moved {import_id}` lists them,"
            f" `appointment360 imports resume {import_id}` goes on with a new plan."
        )
        raise PlanMoved(f"{moved.sentence} {plans}") from moved
    except NotAccepted as error:
        if not hints:
            raise
        accepts = f'`appointment360 imports accept {import_id} --reason "..."` accepts it.'
        raise error.hinting(accepts) from error
    except NoRoom as error:
        raise NoRoom(f"{error.sentence} {again}") from error
    except UnreadableFile as error:
        with writing(by) as session:
            imports.record(session, import_id, state=State.FAILED, error=error.sentence)
            import_drafts.remove(session, import_id)
            audit.write(session, Event.IMPORT_FAILED, f"import {import_id}", by=by, error=error.sentence)
        raise
    except (OperationalError, InterfaceError, AdbcError) as error:
        reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
        raise Unavailable(f"The database failed during import {import_id}: {reason}. {again}") from error
    except DBAPIError as error:
        reason = str(error.orig).strip().splitlines()[0]
        raise Unavailable(f"The database refused what import {import_id} was to write: {reason}. {again}") from error
    except (duckdb.Error, RuntimeError) as error:
        meant = _translated(error, import_id, again)
        if meant is None:
            raise
        raise meant from error
    except OSError as error:
        raise Unavailable(f"Import {import_id} stopped: {error.strerror or error}. {again}") from error


def _translated(error: duckdb.Error | RuntimeError, import_id: int, again: str) -> BaseException | None:
    """What DuckDB's error means to a person; None where it is none of DuckDB's."""
    words = str(error)
    # Ctrl-C: DuckDB passes it on under other names.
    if isinstance(error, duckdb.InterruptException) or "KeyboardInterrupt" in words or words == "Query interrupted":
        return KeyboardInterrupt()
    if isinstance(error, duckdb.OutOfMemoryException):
        limit = settings.settings().duckdb_memory.human_readable(decimal=True)
        return Unavailable(
            f"Import {import_id} needs more than the {limit} of memory that it may use: set"
            f" APPOINTMENT360_DUCKDB_MEMORY higher, or leave out columns. {again}"
        )
    if isinstance(error, duckdb.Error):
        return Unavailable(f"Import {import_id} stopped: {words.splitlines()[0]} {again}")
    return None


def _notice_lost_rows(import_id: int, by: Actor) -> None:
    """Send the import back to the step whose outcome is gone.

    A store of cells that is missing or damaged, or is one that another host has left behind since, is made again from
    the upload; a plan that is whole in the database is committed without it. Staging tables are unlogged: a crash of
    the server empties them, and the rows are staged again.
    """
    back = _step_to_repeat(imports.get(import_id, by=by))
    if back is None:
        return
    with writing(by) as session:
        imports.record(session, import_id, state=back)


def _step_to_repeat(found: Import) -> State | None:
    """The state from which what is lost is made again; None where nothing is."""
    if found.state not in (State.OPENED, State.STAGED, State.CHECKED, State.PLANNED):
        return None
    has_rows = _has_rows(found)
    if has_rows and found.state == State.PLANNED and import_files.is_shared(found):
        return None
    try:
        read_opened(store_path(found.id))
    except UnreadableFile:
        return State.NEW
    if not is_working_copy(found):
        return State.NEW
    return None if has_rows or found.state == State.OPENED else State.OPENED


def _has_rows(found: Import) -> bool:
    """Whether the database has what was staged of it, and planned."""
    if found.state == State.OPENED:
        return False
    with reading() as session:
        return staging.row_count(session, found.id) == found.staged and (
            found.state != State.PLANNED or staging.plan_count(session, found.id) == found.staged
        )


def _require_room(found: Import, by: Actor) -> None:
    """For the next step; what is missing is shown with the import until it goes on. Raises NoRoom."""
    error = None
    try:
        import_room.require(found)
    except NoRoom as full:
        error = full.sentence
        raise
    finally:
        if found.error != error:
            with writing(by) as session:
                imports.record(session, found.id, error=error)


def _stored_plan(found: Import) -> Plan | None:
    return found.planned if found.state == State.PLANNED else None


def _require_same_plan(wanted: Plan, found: Import) -> None:
    """A plan that was made again since is committed only where it says the same of every row. Raises PlanMoved."""
    stored = found.planned or {}
    if stored.get("at") == wanted.get("at") or (wanted.get("digest") and stored.get("digest") == wanted["digest"]):
        return
    raise PlanMoved(
        f"Nothing was written: the plan of import {found.id} was made again, and is not the one that was shown, since"
        " contacts changed. Look at the new plan first."
    )


def _add_seconds(import_id: int, seconds: float, by: Actor) -> None:
    with writing(by) as session:
        imports.record(session, import_id, seconds=Import.seconds + seconds)
