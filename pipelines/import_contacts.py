"""The life of a contact file: open, stage, check, plan, commit; and undo.

Each step is a plain function over stored state. It may be repeated, and whatever is killed goes on with the last step
that was finished: `run` looks where the import stands and does what is missing.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb
from adbc_driver_manager import Error as AdbcError
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.orm import Session

from data_checks.gate import Gate
from models import audit, check_results, database, imports, settings, users
from models.audit import Event
from models.contacts import changes, mapping, matching, staging
from models.database import writing
from models.errors import Conflict, InvalidInput, Unavailable
from models.imports import Import, ImportReject, Keep, MatchRule, State
from models.permissions import Actor, Permission, require
from pipelines import stage_contacts
from pipelines.arrow_copy import copy_in
from pipelines.contact_files import UnreadableFile, open_contact_file, read_opened
from pipelines.contact_files.opened_file import NoRoom
from pipelines.import_rejects import write_rejects
from pipelines.typed_rows import Source

__all__ = ["create", "run", "undo", "write_rejects"]

Progress = Callable[[str, int, int | None], None]
SAMPLES = 200  # rows that the mapping may look at


def create(path: Path, *, mapping: dict[str, str] | None = None, match: MatchRule, keep: Keep, by: Actor) -> int:
    """A new import of the file at `path`, which is copied into the home folder. Raises NotAllowed, InvalidInput."""
    if not path.is_file():
        raise InvalidInput(f"There is no file {path}.")
    import_id = imports.create(file_name=path.name, overrides=mapping or {}, match=match, keep=keep, by=by)
    stored = _folder(import_id) / path.name
    try:
        stored.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, stored)
    except OSError as error:
        raise Unavailable(f"{path.name} could not be stored in {stored.parent}: {error.strerror}.") from error
    with writing(by) as session:
        imports.record(session, import_id, file_path=str(stored))
    return import_id


def run(import_id: int, *, until: State = State.COMMITTED, by: Actor, progress: Progress | None = None) -> Import:
    """Do every step that is missing, up to `until`; returns the import as it then stands.

    Raises NotAllowed, NotFound, UnreadableFile, Conflict (undone, failed, or the data moved since the plan),
    Unavailable (the database or the disk; the import can be resumed).
    """
    require(by, Permission.IMPORTS_RUN)
    say = progress or (lambda step, done, total: None)
    with _sentences(import_id, by), _claimed(import_id), Gate(settings.home()) as gate:
        _notice_lost_rows(import_id, by)
        while (step := _next_step(imports.get(import_id, by=by), until)) is not None:
            say(step.__name__, 0, None)
            started = time.monotonic()
            step(import_id, gate, by)
            _add_seconds(import_id, time.monotonic() - started, by)
        return imports.get(import_id, by=by)


def open_file(import_id: int, _: Gate, by: Actor) -> None:
    """Read the stored file into a table of text cells, and propose its mapping."""
    found = imports.get(import_id, by=by)
    if not found.file_path:
        raise UnreadableFile(f"The file of import {import_id} was never stored completely: import it again.")
    limits = settings.settings()
    opened = open_contact_file(
        Path(found.file_path), store=_store(import_id), memory_limit=limits.duckdb_memory, threads=limits.duckdb_threads
    )
    proposed = mapping.propose(opened.headers, _samples(import_id, len(opened.headers)))
    proposed = mapping.changed(proposed, found.overrides)
    with writing(by) as session:
        imports.record(
            session,
            import_id,
            state=State.OPENED,
            sha256=opened.sha256,
            bytes=opened.bytes,
            rows=opened.rows,
            opened={
                "format": opened.format,
                "encoding": opened.encoding,
                "delimiter": opened.delimiter,
                "headers": opened.headers,
                "header_line": opened.header_line,
                "leftover": proposed.leftover,
                "notes": [*opened.notes, *proposed.notes],
            },
            mapping=dict(proposed.fields),
        )


def stage(import_id: int, _: Gate, by: Actor) -> None:
    """Type the rows into the staging table, and account for those that are rejected or repeated."""
    found = imports.get(import_id, by=by)
    source = _source(found)
    with writing(by) as session:
        staging.create(session, import_id, source.mapped)
        owners = [(user.email, user.name) for user in users.active(session)]
    with closing(_connect(import_id)) as store:
        staged = stage_contacts.stage(
            store,
            source,
            import_id=import_id,
            match=MatchRule(found.match),
            owners=owners,
            database_url=database.libpq_url(database.Database.url or ""),
        )
    with writing(by) as session:
        _replace_notes(session, import_id)
        imports.record(
            session, import_id, state=State.STAGED, staged=staged.good, rejected=staged.rejected,
            duplicates=staged.duplicates,
        )  # fmt: skip


def check(import_id: int, gate: Gate, by: Actor) -> None:
    """Run the quality suite over the staged rows and store its verdicts."""
    verdicts = gate.check(database.Database.url or "", staging.rows_table(import_id), staging.SCHEMA)
    with writing(by) as session:
        check_results.replace(session, verdicts, import_id=import_id)
        imports.record(session, import_id, state=State.CHECKED)


def plan(import_id: int, _: Gate, by: Actor) -> None:
    """Decide for every staged row what commit will do, and store it."""
    found = imports.get(import_id, by=by)
    with writing(by) as session:
        staging.create_plan(session, import_id)
        planned = _moment(session)
        _match(session, found)
        counts = _counts(session, import_id)
        changed = _changed_fields(session, import_id)
        left_out = _left_out(session, import_id, MatchRule(found.match))
    with closing(_connect(import_id)) as store:
        inside = stage_contacts.counts(store)
        _store_rejects(store, found, left_out, by)
    with writing(by) as session:
        imports.record(
            session,
            import_id,
            state=State.PLANNED,
            created=counts.get("create", 0),
            updated=counts.get("update", 0),
            unchanged=counts.get("unchanged", 0),
            duplicates=inside.duplicates + counts.get("duplicate", 0),
            rejected=inside.rejected + counts.get("ambiguous", 0),
            changed_fields=changed,
            planned=planned,
            error=None,
        )


def commit(import_id: int, _: Gate, by: Actor) -> None:
    """Carry out exactly the stored plan, in one transaction. Raises Conflict when the data moved since."""
    found = imports.get(import_id, by=by)
    mapped = _source(found).mapped
    with writing(by, import_id=import_id) as session:
        session.execute(text("LOCK TABLE contacts IN SHARE ROW EXCLUSIVE MODE"))
        if session.scalar(select(Import.state).where(Import.id == import_id)) != State.PLANNED:
            return  # a process that was killed had sent its COMMIT already: its server finished while this one waited
        if moved := _moved(session, found):
            session.rollback()
            _plan_again(import_id, by, moved)
        changes.commit_plan(
            session,
            import_id,
            mapped=mapped,
            keep=Keep(found.keep),
            staged=found.staged,
            creating=found.created,
            by_id=by.id,
        )
        imports.record(session, import_id, state=State.COMMITTED, finished_at=text("now()"))
        audit.write(
            session,
            Event.IMPORT_COMMITTED,
            f"import {import_id}",
            by=by,
            **imports.numbers(found) | {"state": State.COMMITTED},
        )
        staging.drop(session, import_id)
    with database.engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE contacts"))


STEPS: dict[State, tuple[State, Callable[[int, Gate, Actor], None]]] = {
    State.NEW: (State.OPENED, open_file),
    State.OPENED: (State.STAGED, stage),
    State.STAGED: (State.CHECKED, check),
    State.CHECKED: (State.PLANNED, plan),
    State.PLANNED: (State.COMMITTED, commit),
}
ORDER = [State.NEW, State.OPENED, State.STAGED, State.CHECKED, State.PLANNED, State.COMMITTED]


def undo(import_id: int, *, by: Actor) -> dict[str, int]:
    """Take a committed import back: {"removed", "restored", "kept"}. Raises NotAllowed, NotFound, Conflict."""
    require(by, Permission.IMPORTS_UNDO)
    with _sentences(import_id, by, command="undo"), _claimed(import_id):
        found = imports.get(import_id, by=by)
        if found.state != State.COMMITTED:
            raise Conflict(f"Import {import_id} is {found.state}: only a committed import can be undone.")
        with writing(by) as session:
            session.execute(text("LOCK TABLE contacts IN SHARE ROW EXCLUSIVE MODE"))
            undone = changes.undo_import(session, import_id)
            counts = {"removed": undone.removed, "restored": undone.restored, "kept": undone.kept}
            imports.record(session, import_id, state=State.UNDONE, undone=counts)
            audit.write(session, Event.IMPORT_UNDONE, f"import {import_id}", by=by, **counts)
    return counts


def _next_step(found: Import, until: State) -> Callable[[int, Gate, Actor], None] | None:
    state = State(found.state)
    if state is State.FAILED:
        raise Conflict(f"Import {found.id} failed: {found.error} Import a mended file instead.")
    if state is State.UNDONE:
        raise Conflict(f"Import {found.id} was undone: import the file again instead.")
    if ORDER.index(state) >= ORDER.index(until):
        return None
    return STEPS[state][1]


@contextmanager
def _claimed(import_id: int) -> Iterator[None]:
    """One process at a time; a killed one lets go at once, since the lock lives in its connection."""
    with database.engine().connect() as connection:
        taken = connection.scalar(text("SELECT pg_try_advisory_lock(:lock, :id)"), _claim(import_id))
        connection.commit()
        if not taken:
            raise Conflict(f"Import {import_id} is being worked on by another process.")
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
def _sentences(import_id: int, by: Actor, *, command: str = "resume") -> Iterator[None]:
    """Errors of the parts as sentences; a file that cannot be read ends the import, anything else can be resumed."""
    again = f"Nothing was lost: `appointment360 imports {command} {import_id}` goes on from here."
    try:
        yield
    except NoRoom as error:
        raise Unavailable(f"{error.sentence} {again}") from error
    except UnreadableFile as error:
        with writing(by) as session:
            imports.record(session, import_id, state=State.FAILED, error=error.sentence)
            audit.write(session, Event.IMPORT_FAILED, f"import {import_id}", by=by, error=error.sentence)
        raise
    except (OperationalError, InterfaceError, AdbcError) as error:
        reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
        raise Unavailable(f"The database failed during import {import_id}: {reason}. {again}") from error
    except duckdb.OutOfMemoryException as error:
        limit = settings.settings().duckdb_memory
        raise Unavailable(
            f"Import {import_id} needs more than the {limit} of memory that it may use: set"
            f" APPOINTMENT360_DUCKDB_MEMORY higher, or leave out columns. {again}"
        ) from error
    except duckdb.Error as error:
        raise Unavailable(f"Import {import_id} stopped: {str(error).splitlines()[0]} {again}") from error
    except OSError as error:
        raise Unavailable(f"Import {import_id} stopped: {error.strerror or error}. {again}") from error


def _notice_lost_rows(import_id: int, by: Actor) -> None:
    """Send the import back to the step whose outcome is gone.

    A store of cells that is missing or damaged is made again from the upload. Staging tables are unlogged: a crash of
    the server empties them, and the rows are staged again.
    """
    found = imports.get(import_id, by=by)
    if found.state not in (State.OPENED, State.STAGED, State.CHECKED, State.PLANNED):
        return
    try:
        read_opened(_store(import_id))
    except UnreadableFile:
        with writing(by) as session:
            imports.record(session, import_id, state=State.NEW)
        return
    if found.state == State.OPENED:
        return
    with writing(by) as session:
        if staging.row_count(session, import_id) != found.staged or (
            found.state == State.PLANNED and staging.plan_count(session, import_id) != found.staged
        ):
            imports.record(session, import_id, state=State.OPENED)


def _add_seconds(import_id: int, seconds: float, by: Actor) -> None:
    with writing(by) as session:
        imports.record(session, import_id, seconds=Import.seconds + seconds)


def _source(found: Import) -> Source:
    return Source(tuple((found.opened or {})["headers"]), found.mapping or {})


def _folder(import_id: int) -> Path:
    return settings.home() / "imports" / str(import_id)


def _store(import_id: int) -> Path:
    return _folder(import_id) / "rows.duckdb"


def _connect(import_id: int) -> duckdb.DuckDBPyConnection:
    read_opened(_store(import_id))  # says in words when the store is missing or damaged
    limits = settings.settings()
    return stage_contacts.connect(_store(import_id), memory_limit=limits.duckdb_memory, threads=limits.duckdb_threads)


def _samples(import_id: int, width: int) -> list[tuple[str | None, ...]]:
    cells = ", ".join(f"c{place}" for place in range(width))
    with closing(_connect(import_id)) as store:
        return store.execute(f"SELECT {cells} FROM raw LIMIT {SAMPLES}").fetchall() if width else []


def _match(session: Session, found: Import, *, into: str | None = None) -> None:
    rule, keep = MatchRule(found.match), Keep(found.keep)
    matching.plan(session, found.id, mapped=_source(found).mapped, match=rule, keep=keep, into=into)


def _moment(session: Session) -> dict[str, Any]:
    """Where the contacts stand: their clock, and whether somebody else was writing just then."""
    row = session.execute(
        text(
            """SELECT last_value + is_called::int AS clock,
                      pg_snapshot_xmin(pg_current_snapshot()) < pg_snapshot_xmax(pg_current_snapshot()) AS busy
               FROM contacts_clock"""
        )
    ).one()
    return {"clock": row.clock, "busy": row.busy}


def _moved(session: Session, found: Import) -> list[int]:
    """The lines whose plan no longer holds; quick when nobody wrote to contacts since."""
    planned = found.planned or {}
    if not planned.get("busy") and _moment(session)["clock"] == planned.get("clock"):
        return []
    fresh = staging.create_plan(session, found.id, temporary=True)
    _match(session, found, into=fresh)
    stored = f"{staging.SCHEMA}.{staging.plan_table(found.id)}"
    return list(
        session.scalars(
            text(
                f"""SELECT line FROM (TABLE {stored} EXCEPT TABLE {fresh}) gone
                    UNION SELECT line FROM (TABLE {fresh} EXCEPT TABLE {stored}) come ORDER BY line"""
            )
        )
    )


def _plan_again(import_id: int, by: Actor, moved: list[int]) -> None:
    with writing(by) as session:
        imports.record(session, import_id, state=State.CHECKED)
    named = ", ".join(f"{line:,}" for line in moved[:5]) + (", ..." if len(moved) > 5 else "")
    raise Conflict(
        f"Nothing was written: contacts changed since the plan was made, and {len(moved):,} of its rows no longer hold"
        f" (line {named}). `appointment360 imports resume {import_id}` plans again."
    )


def _counts(session: Session, import_id: int) -> dict[str, int]:
    rows = session.execute(
        text(f"SELECT action, count(*) FROM {staging.SCHEMA}.{staging.plan_table(import_id)} GROUP BY action")
    )
    return {row[0]: row[1] for row in rows}


def _changed_fields(session: Session, import_id: int) -> dict[str, int]:
    rows = session.execute(
        text(
            f"""SELECT name, count(*) FROM {staging.SCHEMA}.{staging.plan_table(import_id)}, unnest(changed) AS name
                GROUP BY name ORDER BY 2 DESC, 1"""
        )
    )
    return {row[0]: row[1] for row in rows}


def _left_out(session: Session, import_id: int, match: MatchRule) -> list[tuple[int, str, str]]:
    """(line, kind, reason) of staged rows that are not imported after all."""
    rows = session.execute(
        text(
            f"""SELECT line, action, target, rule FROM {staging.SCHEMA}.{staging.plan_table(import_id)}
                WHERE action IN ('ambiguous', 'duplicate') ORDER BY line"""
        )
    )
    return [
        (row.line, "duplicate", f"Another row of the file means the same contact, number {row.target}.")
        if row.action == "duplicate"
        else (row.line, "rejected", _ambiguous(row.target, row.rule, match))
        for row in rows
    ]


def _ambiguous(contact: int, rule: int, match: MatchRule) -> str:
    shared = {1: "external id", 2: "e-mail and name", 3: "e-mail, company and website", 5: "LinkedIn address"}[rule]
    shared = "e-mail" if match is MatchRule.EMAIL else shared
    return f"Several contacts, number {contact} the first, have the row's {shared}: merge them, or change the row."


def _replace_notes(session: Session, import_id: int) -> None:
    """Count the values that went to extra, by header."""
    session.execute(text("DELETE FROM import_notes WHERE import_id = :id"), {"id": import_id})
    session.execute(
        text(
            f"""WITH counted AS (
                SELECT header, count(*) AS count, min(line) AS first_line
                FROM {staging.SCHEMA}.{staging.rows_table(import_id)}, unnest(warned) AS header
                WHERE warned IS NOT NULL GROUP BY header
            )
            INSERT INTO import_notes (import_id, header, reason, count, first_line, example)
            SELECT :id, header, 'kept in extra: the value does not fit its field', count, first_line,
                   s.extra::jsonb ->> header
            FROM counted JOIN {staging.SCHEMA}.{staging.rows_table(import_id)} s ON s.line = first_line"""
        ),
        {"id": import_id},
    )


def _store_rejects(
    store: duckdb.DuckDBPyConnection, found: Import, left_out: list[tuple[int, str, str]], by: Actor
) -> None:
    """Put every row that is not imported into import_rejects, with its cells, replacing what was there."""
    with writing(by) as session:
        session.query(ImportReject).where(ImportReject.import_id == found.id).delete()
    reader = stage_contacts.rejects(store, found.id, _source(found), left_out)
    copy_in(database.libpq_url(database.Database.url or ""), ImportReject.__tablename__, reader)
