"""The steps of an import after its creation: open, stage, check and plan, commit.

Each takes the import where the step before left it, may be repeated, and records its outcome when it is finished.
"""

import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any

import duckdb
from sqlalchemy import delete, insert, select, text
from sqlalchemy.orm import Session

from data_checks.gate import Gate
from models import audit, check_results, database, imports, settings, users
from models.audit import Event
from models.contacts import changes, mapping, matching, staging
from models.database import writing
from models.errors import Conflict
from models.imports import Import, ImportNote, ImportReject, Keep, MatchRule, State
from models.permissions import Actor
from pipelines import stage_contacts
from pipelines.arrow_copy import copy_in
from pipelines.contact_files import UnreadableFile, open_contact_file, read_opened
from pipelines.contact_files.open_file import OPENING
from pipelines.typed_rows import Source

SAMPLES = 200  # rows that the mapping may look at
STORE = "rows.duckdb"
COLUMNS = 500  # read of them at once
# Opening may have more memory than staging, and keeps below it: with less DuckDB writes on one core only.
LOADING = 2.0


def open_file(import_id: int, _: Gate, by: Actor) -> None:
    """Read the stored file into a table of text cells, and propose its mapping."""
    found = imports.get(import_id, by=by)
    if not found.file_path:
        raise UnreadableFile(f"The file of import {import_id} was never stored completely: import it again.")
    remove_store(import_id)
    limits = settings.settings()
    opened = open_contact_file(
        Path(found.file_path),
        store=store_path(import_id),
        memory_limit=_bytes(limits.duckdb_memory * LOADING),
        threads=limits.duckdb_threads,
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
                "leftover": Source(opened.headers, proposed.fields).leftover,
                "notes": [*opened.notes, *proposed.notes],
            },
            mapping=dict(proposed.fields),
        )


def stage(import_id: int, _: Gate, by: Actor) -> None:
    """Type the rows into the staging table, and account for those that are rejected or repeated."""
    found = imports.get(import_id, by=by)
    source = source_of(found)
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


def check_and_plan(import_id: int, gate: Gate, by: Actor) -> None:
    """Run the quality suite over the staged rows and, beside it, decide for each of them what commit will do."""
    found = imports.get(import_id, by=by)
    with ThreadPoolExecutor(1, "check") as beside:
        rows = staging.rows_table(import_id)
        checked = beside.submit(gate.check, database.Database.url or "", rows, staging.SCHEMA)
        planned = _planned(found, by)
        verdicts = checked.result()
    with writing(by) as session:
        check_results.replace(session, verdicts, import_id=import_id)
        imports.record(session, import_id, state=State.PLANNED, **planned)


def plan(import_id: int, _: Gate, by: Actor) -> None:
    """Decide again, when the contacts moved since: the rows are those that were checked."""
    planned = _planned(imports.get(import_id, by=by), by)
    with writing(by) as session:
        imports.record(session, import_id, state=State.PLANNED, **planned)


def commit(import_id: int, _: Gate, by: Actor) -> None:
    """Carry out exactly the stored plan, in one transaction. Raises Conflict when the data moved since."""
    found = imports.get(import_id, by=by)
    mapped = source_of(found).mapped
    with writing(by, import_id=import_id) as session:
        session.execute(text("LOCK TABLE contacts IN SHARE ROW EXCLUSIVE MODE"))
        if session.scalar(select(Import.state).where(Import.id == import_id)) != State.PLANNED:
            # A process that was killed had sent its COMMIT already: its server finished while this one waited.
            remove_store(import_id)
            return
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
    remove_store(import_id)  # the upload stays; its cells are in contacts and rejects now


def _planned(found: Import, by: Actor) -> dict[str, Any]:
    """Fill the plan table and the rejects; what the import's record says of them."""
    with writing(by) as session:
        moment = _moment(session)
        _match(session, found)
        counts = staging.plan_counts(session, found.id)
        changed = staging.changed_fields(session, found.id)
        left_out = _left_out(session, found.id, MatchRule(found.match))
    with closing(_connect(found.id)) as store:
        inside = stage_contacts.counts(store)
        _store_rejects(store, found, left_out, by)
    return {
        "created": counts.get("create", 0),
        "updated": counts.get("update", 0),
        "unchanged": counts.get("unchanged", 0),
        "duplicates": inside.duplicates + counts.get("duplicate", 0),
        "rejected": inside.rejected + counts.get("ambiguous", 0),
        "changed_fields": changed,
        "planned": moment,
        "error": None,
    }


def folder(import_id: int) -> Path:
    return settings.home() / "imports" / str(import_id)


def store_path(import_id: int) -> Path:
    return folder(import_id) / STORE


def with_store() -> list[int]:
    """The imports whose opened cells are in this home."""
    return [int(store.parent.name) for store in (settings.home() / "imports").glob(f"*/{STORE}")]


def remove_store(import_id: int) -> None:
    """The opened cells, with whatever a killed process left beside them: DuckDB would take its log for the next
    store's."""
    store = store_path(import_id)
    for path in (store, store.with_name(f"{store.name}.wal")):
        path.unlink(missing_ok=True)
    for rest in (store.with_name(f"{store.name}.tmp"), *store.parent.glob(f"{OPENING}*")):
        shutil.rmtree(rest, ignore_errors=True)


def source_of(found: Import) -> Source:
    return Source(tuple((found.opened or {})["headers"]), found.mapping or {})


def _connect(import_id: int) -> duckdb.DuckDBPyConnection:
    read_opened(store_path(import_id))  # says in words when the store is missing or damaged
    limits = settings.settings()
    limit = _bytes(limits.duckdb_memory)
    return stage_contacts.connect(store_path(import_id), memory_limit=limit, threads=limits.duckdb_threads)


def _bytes(number: float) -> str:
    return f"{number:.0f}B"


def _samples(import_id: int, width: int) -> list[tuple[str | None, ...]]:
    """The first rows, read some columns at a time: DuckDB gives each column of a query room for thousands of rows."""
    columns = [f"c{place}" for place in range(width)]
    with closing(_connect(import_id)) as store:
        parts = [
            store.execute(f"SELECT {', '.join(columns[at : at + COLUMNS])} FROM raw LIMIT {SAMPLES}").fetchall()
            for at in range(0, width, COLUMNS)
        ]
    return [tuple(chain.from_iterable(row)) for row in zip(*parts, strict=True)]


def _match(session: Session, found: Import, *, temporary: bool = False) -> str:
    rule, keep = MatchRule(found.match), Keep(found.keep)
    mapped = source_of(found).mapped
    return matching.plan(session, found.id, mapped=mapped, match=rule, keep=keep, temporary=temporary)


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
    fresh = _match(session, found, temporary=True)
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
    rows = f"{staging.SCHEMA}.{staging.rows_table(import_id)}"
    # Read by itself, not inside the INSERT: only a plain SELECT is read by several processes.
    counted = session.execute(
        text(
            f"""WITH counted AS (
                SELECT header, count(*) AS count, min(line) AS first_line
                FROM {rows}, unnest(warned) AS header WHERE warned IS NOT NULL GROUP BY header
            )
            SELECT header, count, first_line, s.extra::jsonb ->> header AS example
            FROM counted JOIN {rows} s ON s.line = first_line"""
        )
    ).mappings()
    found = [dict(note) for note in counted]
    session.execute(delete(ImportNote).where(ImportNote.import_id == import_id))
    if found:
        reason = "kept in extra: the value does not fit its field"
        session.execute(insert(ImportNote), [{"import_id": import_id, "reason": reason, **note} for note in found])


def _store_rejects(
    store: duckdb.DuckDBPyConnection, found: Import, left_out: list[tuple[int, str, str]], by: Actor
) -> None:
    """Put every row that is not imported into import_rejects, with its cells, replacing what was there."""
    with writing(by) as session:
        session.query(ImportReject).where(ImportReject.import_id == found.id).delete()
    reader = stage_contacts.rejects(store, found.id, source_of(found), left_out)
    copy_in(database.libpq_url(database.Database.url or ""), ImportReject.__tablename__, reader)
