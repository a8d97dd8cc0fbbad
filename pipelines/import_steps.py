"""The steps of an import after its creation: open, stage, check and plan, commit.

Each takes the import where the step before left it, may be repeated, and records its outcome when it is finished. The
attendant is told what is being done.
"""

import secrets
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import duckdb
from sqlalchemy import delete, insert, make_url, select, text
from sqlalchemy.orm import Session

from data_checks import contact_suite, drift
from data_checks.gate import Gate
from models import (
    audit,
    check_results,
    check_switches,
    database,
    import_acceptances,
    import_drafts,
    import_files,
    import_findings,
    import_places,
    import_profiles,
    import_rejects,
    import_servers,
    imports,
    mapping_memory,
    settings,
    users,
)
from models.audit import Event
from models.contacts import changes, mapping, matching, plan_rows, policies, staging
from models.contacts.blanks import is_empty
from models.contacts.changes import Written
from models.errors import Conflict
from models.fields import Kind
from models.import_findings import in_order
from models.import_places import Of
from models.import_profiles import Columns
from models.import_progress import Step
from models.import_servers import working
from models.imports import Import, ImportNote, ImportReject, MatchRule, Recall, State, folder
from models.mapping_memory import How, Recalled
from models.permissions import Actor
from pipelines import import_profile, stage_contacts
from pipelines.arrow_copy import copy_in
from pipelines.attendant import Counter, Unattended
from pipelines.contact_files import UnreadableFile, open_contact_file
from pipelines.contact_files.open_file import OPENING
from pipelines.contact_files.opened_file import connected
from pipelines.interruptible import interruptible
from pipelines.stage_contacts import LeftOut
from pipelines.typed_rows import Source
from pipelines.watched import Meter, watching

SAMPLES = 200  # rows that the mapping and the preview may look at
STORE = "rows.duckdb"
COLUMNS = 500  # read of them at once
# Opening may have more memory than staging, and keeps below it: with less DuckDB writes on one core only.
LOADING = 2.0
PREVIEWED = 10  # rows of the preview
LONGEST_CELL = 200  # characters of a cell there
MOST_CELLS = 100  # columns of a row there
EXAMPLES = 3  # different values of a column
LONGEST_EXAMPLE = 60
MOST_EXAMPLED = 2_000  # columns that have examples
LOOKS = 0.2  # seconds between two looks whether the check has ended

ALONE = Unattended()
Found = TypeVar("Found")


class PlanMoved(Conflict):
    """The plan is not the one that was shown, since contacts changed: it is made anew before anything is written."""


def open_file(import_id: int, _: Gate, by: Actor, attendant: Unattended = ALONE) -> None:
    """Read the stored file into a table of text cells, and propose its mapping."""
    attendant.says(Step.OPEN)
    found = imports.get(import_id, by=by)
    if not found.file_path:
        raise UnreadableFile(f"The file of import {import_id} was never stored completely: import it again.")
    remove_store(import_id)
    limits = settings.settings()
    path = import_files.fetch(found)
    with watching(partial(_say_read, attendant)):
        opened = open_contact_file(
            path,
            store=store_path(import_id),
            memory_limit=_bytes(limits.duckdb_memory * LOADING),
            threads=limits.duckdb_threads,
        )
    import_files.let_go(found)
    copy = _mark_working_copy(found)
    lines, samples = _samples(import_id, len(opened.headers))
    proposed = mapping.propose(opened.headers, samples)
    recalled = _recalled(found, opened.headers, proposed, by)
    begun = recalled.mapping if recalled else proposed
    # Once it was opened, and had to be opened again, what is left out is complete.
    given = set(found.overrides.values())
    itself = [header for header in begun.left_out if header not in given]
    left_out = found.left_out if found.mapping is not None else [*itself, *found.left_out]
    chosen = mapping.changed(begun, found.overrides, left_out)
    dating = mapping.dating(opened.headers)
    dated_by = dating if found.dated_by is None else mapping.header_named(found.dated_by, opened.headers)
    with working(import_id, by) as session:
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
                "leftover": Source(opened.headers, chosen.fields, frozenset(chosen.left_out)).leftover,
                "proposed": dict(proposed.fields),
                "proposed_left_out": proposed.left_out,
                "proposed_dated_by": dating,
                "notes": [*opened.notes, *chosen.notes],
            },
            mapping=dict(chosen.fields),
            left_out=[header for header in opened.headers if header in chosen.left_out],
            preview=_preview(opened.headers, lines, samples),
            working_copy=copy,
            **{"dated_by": dated_by or "", **(_of_memory(recalled, chosen) if recalled else {})},
        )


def stage(import_id: int, _: Gate, by: Actor, attendant: Unattended = ALONE) -> None:
    """Type the rows into the staging table, and account for those that are rejected or repeated."""
    attendant.says(Step.JUDGE)
    found = imports.get(import_id, by=by)
    source = source_of(found)
    with working(import_id, by) as session:
        staging.create(session, import_id, source.mapped, dated=source.dated_by is not None)
        owners = [(user.email, user.name) for user in users.active(session)]

    def begun(good: int) -> None:
        copied = partial(staging.copied, import_id=import_id)
        attendant.says(Step.STAGE, total=good, counter=Counter(copied))

    with _store(import_id) as store:
        staged = stage_contacts.stage(
            store,
            source,
            import_id=import_id,
            match=MatchRule(found.match),
            owners=owners,
            database_url=database.libpq_url(_server_url(import_id)),
            begun=begun,
        )
    copy = _mark_working_copy(found)
    with working(import_id, by) as session:
        _replace_notes(session, import_id, staged.undated)
        imports.record(
            session, import_id, state=State.STAGED, staged=staged.good, rejected=staged.rejected,
            duplicates=staged.duplicates, opened={**(found.opened or {}), "leftover": source.leftover},
            working_copy=copy,
        )  # fmt: skip


def check_and_plan(import_id: int, gate: Gate, by: Actor, attendant: Unattended = ALONE) -> None:
    """Run the quality suite over the staged rows and, beside it, decide for each of them what commit will do."""
    attendant.says(Step.MATCH)
    found = imports.get(import_id, by=by)
    beside = ThreadPoolExecutor(2, "check")
    try:
        rows = staging.rows_table(import_id)
        checked = beside.submit(gate.check, _server_url(import_id), rows, staging.SCHEMA)
        profiled = beside.submit(_profiled, found, by)
        planned = _planned(found, by)
        verdicts, columns = _awaited(checked), _awaited(profiled)
    finally:
        beside.shutdown(wait=False)  # whoever stops the import does not wait for the check
    with working(import_id, by) as session:
        check_results.replace(session, verdicts, import_id=import_id)
        import_profiles.store(session, import_id, source_of(found).headers, columns)
        _record_plan(session, import_id, planned)


def plan(import_id: int, _: Gate, by: Actor, attendant: Unattended = ALONE) -> None:
    """Decide again, when the contacts moved since: the rows are those that were checked."""
    attendant.says(Step.MATCH)
    planned = _planned(imports.get(import_id, by=by), by)
    with working(import_id, by) as session:
        _record_plan(session, import_id, planned)


def commit(import_id: int, _: Gate, by: Actor, attendant: Unattended = ALONE) -> None:
    """Carry out exactly the stored plan, in one transaction. Raises NotAccepted where something
    stands out that nobody has accepted, PlanMoved when the data moved since."""
    attendant.says(Step.VERIFY)
    found = imports.get(import_id, by=by)
    mapped = source_of(found).mapped
    with working(import_id, by, writes_contacts=True) as session:
        session.execute(text("LOCK TABLE contacts IN SHARE ROW EXCLUSIVE MODE"))
        if session.scalar(select(Import.state).where(Import.id == import_id)) != State.PLANNED:
            # A process that was killed had sent its COMMIT already: its server finished while this one waited.
            remove_store(import_id)
            return
        import_acceptances.require_accepted(session, import_id)
        if moved := _moved(session, found):
            sentence = _plan_again(session, import_id, moved)
            session.commit()
            raise PlanMoved(sentence)
        before = plan_rows.last_numbers(session)
        changes.commit_plan(
            session,
            import_id,
            mapped=mapped,
            policies=policies.of(found),
            staged=found.staged,
            creating=found.created,
            by_id=by.id,
            updating=found.updated,
            say=partial(say_written, attendant),
        )
        attendant.confirm(session)
        wrote = plan_rows.settle(session, import_id, before)
        plan_rows.forget_moves(session, import_id)
        imports.record(session, import_id, state=State.COMMITTED, finished_at=text("now()"), written=wrote, moved=0)
        audit.write(
            session,
            Event.IMPORT_COMMITTED,
            f"import {import_id}",
            by=by,
            **imports.numbers(found) | {"state": State.COMMITTED},
        )
        mapping_memory.remember(session, session.get_one(Import, import_id), by, committed=True)
        staging.drop(session, import_id)
        import_drafts.remove(session, import_id)
    remove_store(import_id)  # the upload stays; its cells are in contacts and rejects now


def _recalled(found: Import, headers: Sequence[str], proposed: mapping.Mapping, by: Actor) -> Recalled | None:
    """The mapping that is remembered for the file, when it is opened for the first time."""
    if found.recall is None or found.mapping is not None:
        return None
    return mapping_memory.recall(headers, proposed, Recall(**found.recall), by=by)


def _of_memory(recalled: Recalled, chosen: mapping.Mapping) -> dict[str, Any]:
    """What the import's record says of it. The overrides are complete, so that a file that has to be opened once more
    is mapped the same way."""
    overrides = {name: chosen.fields.get(name, "") for name in mapping.TARGETS}
    mapping_id = None if recalled.how is How.LIKE else recalled.mapping_id
    return {"mapping_id": mapping_id, "recalled": recalled.told, "overrides": overrides, **recalled.rules}


def _say_read(attendant: Unattended, step: Step, total: int | None, meter: Meter) -> None:
    counter = Counter(lambda _: meter.read()) if total else None
    attendant.says(step, total=total or None, counter=counter)


def say_written(attendant: Unattended, step: Step, written: Written | None) -> None:
    """What `changes` begins, as the attendant counts it."""
    counter = Counter(written.read, before=written.before) if written else None
    attendant.says(step, total=written.total if written else None, counter=counter)


def _awaited(checked: Future[Found]) -> Found:
    """The result; between two looks whoever waits can be stopped."""
    while not wait([checked], timeout=LOOKS).done:
        pass
    return checked.result()


def _profiled(found: Import, by: Actor) -> Columns:
    mapped = source_of(found).mapped
    with working(found.id, by) as session:
        filled = import_profile.counted(session, found.id, mapped)
    # Not in that transaction: whoever waits for it to end would keep the connection that reads the sample waiting.
    return import_profile.made(database.libpq_url(_server_url(found.id)), found.id, mapped, filled)


def _record_plan(session: Session, import_id: int, planned: dict[str, Any]) -> None:
    """The plan that it is compared with goes at last: whoever is killed before makes it again, and compares again."""
    _find_what_stands_out(session, import_id, planned)
    staging.forget_seen(session, import_id)
    imports.record(session, import_id, state=State.PLANNED, **planned)


def _find_what_stands_out(session: Session, import_id: int, planned: dict[str, Any]) -> None:
    """Compare the import, as it is now planned, with the accepted ones before it."""
    profile = import_profiles.of_import(session, import_id)
    if profile is None:  # an older version checked it
        return
    now = import_profiles.planned(profile, planned)
    findings, compared = drift.judge(now, import_profiles.baseline(session, now))
    switches = check_switches.switched(session)
    findings += contact_suite.broken(check_results.of_import(session, import_id), switches)
    import_findings.replace_all(session, in_order(findings), import_id=import_id)
    import_profiles.note_compared(session, import_id, compared)


def _planned(found: Import, by: Actor) -> dict[str, Any]:
    """Fill the plan table and the rejects; what the import's record says of them."""
    with working(found.id, by) as session:
        moment = _moment(session)
        _match(session, found)
        counts, digest = staging.plan_account(session, found.id)
        plan_rows.prepare(session, found.id)
        changed = import_places.totals(session, found.id, Of.PLAN)
        moved = _note_moves(session, found)
        left_out = _left_out(session, found.id, MatchRule(found.match))
    with _store(found.id) as store:
        inside = stage_contacts.counts(store)
        stage_contacts.leave_out(store, left_out)
        reasons = stage_contacts.reasons(store)
        _store_rejects(store, found, by, present=any(reasons.values()))
    return {
        "created": counts.get("create", 0),
        "updated": counts.get("update", 0),
        "unchanged": counts.get("unchanged", 0),
        "duplicates": inside.duplicates + counts.get("duplicate", 0),
        "rejected": inside.rejected + counts.get("ambiguous", 0),
        "changed_fields": {name: number for name, number in changed.items() if name not in staging.ACTIONS},
        "moved": moved,
        "reasons": reasons,
        "planned": {**moment, "at": datetime.now(UTC).isoformat(), "digest": digest},
        "error": None,
    }


def store_path(import_id: int) -> Path:
    return folder(import_id) / STORE


def is_working_copy(found: Import) -> bool:
    """Whether the cells here are those that the import's record goes on from: where hosts share no folder another one
    may have opened or staged the file since, with another mapping."""
    if found.working_copy is None:
        return True
    try:
        return _mark(found.id).read_text() == found.working_copy
    except OSError:
        return False


def _mark_working_copy(found: Import) -> str | None:
    """A new mark beside the cells, for the import's record; None where all hosts have the same folder."""
    if not import_files.is_shared(found):
        return None
    mark = secrets.token_hex(16)
    _mark(found.id).write_text(mark)
    return mark


def _mark(import_id: int) -> Path:
    return store_path(import_id).with_suffix(".mark")


def with_store(*names: str) -> list[int]:
    """The imports whose opened cells, or what else has one of these names, are in this home."""
    below = settings.home() / "imports"
    return sorted({int(found.parent.name) for name in names or (STORE,) for found in below.glob(f"*/{name}")})


def remove_store(import_id: int) -> None:
    """The opened cells, with whatever a killed process left beside them: DuckDB would take its log for the next
    store's."""
    store = store_path(import_id)
    for path in (_mark(import_id), store, store.with_name(f"{store.name}.wal")):
        path.unlink(missing_ok=True)
    left = (store.with_name(f"{store.name}.tmp"), import_files.folder_here(import_id))
    for rest in (*left, *store.parent.glob(f"{OPENING}*")):
        shutil.rmtree(rest, ignore_errors=True)


def source_of(found: Import) -> Source:
    dated_by = found.dated_by if policies.dates_rows(found) else None
    return Source(tuple((found.opened or {})["headers"]), found.mapping or {}, frozenset(found.left_out), dated_by)


@contextmanager
def _store(import_id: int) -> Iterator[duckdb.DuckDBPyConnection]:
    """The opened cells. Raises UnreadableFile, in words, when they are missing or damaged."""
    path, limits = store_path(import_id), settings.settings()
    limit, threads = _bytes(limits.duckdb_memory), limits.duckdb_threads
    connect = partial(stage_contacts.connect, path, memory_limit=limit, threads=threads)
    with connected(path, connect) as store, interruptible(store.interrupt):
        yield store


def _server_url(import_id: int) -> str:
    """The database's URL for those that connect by themselves: their servers are known by the import's name, too."""
    url = make_url(database.Database.url or "")
    named = url.update_query_dict({"application_name": import_servers.name(import_id)})
    return named.render_as_string(hide_password=False)


def _bytes(number: float) -> str:
    return f"{number:.0f}B"


def _samples(import_id: int, width: int) -> tuple[list[int], list[tuple[str | None, ...]]]:
    """The first rows and their lines, read some columns at a time: DuckDB gives each column of a query room for
    thousands of rows."""
    columns = [f"c{place}" for place in range(width)]
    with _store(import_id) as store:
        parts = [
            store.execute(f"SELECT {', '.join(columns[at : at + COLUMNS])} FROM raw LIMIT {SAMPLES}").fetchall()
            for at in range(0, width, COLUMNS)
        ]
        lines = [line for (line,) in store.execute(f"SELECT line FROM raw LIMIT {PREVIEWED}").fetchall()]
    return lines, [tuple(chain.from_iterable(row)) for row in zip(*parts, strict=True)]


def _preview(headers: Sequence[str], lines: Sequence[int], samples: Sequence[tuple[str | None, ...]]) -> dict[str, Any]:
    """What imports.Preview is made of."""

    def shown(cell: str | None, longest: int) -> str | None:
        return None if cell is None else cell[:longest].replace("\0", "")

    examples, shares = {}, {}
    for place, header in enumerate(headers[:MOST_EXAMPLED]):
        cells = [cell for row in samples if (cell := row[place]) is not None and not is_empty(Kind.TEXT, cell)]
        examples[header] = [shown(cell, LONGEST_EXAMPLE) for cell in list(dict.fromkeys(cells))[:EXAMPLES]]
        shares[header] = round(len(cells) / len(samples), 3) if samples else 0.0
    first = zip(lines, samples[:PREVIEWED], strict=True)
    rows = [(line, [shown(cell, LONGEST_CELL) for cell in row[:MOST_CELLS]]) for line, row in first]
    return {"rows": rows, "examples": examples, "filled": shares}


def _match(session: Session, found: Import, *, temporary: bool = False) -> str:
    rule, mapped = MatchRule(found.match), source_of(found).mapped
    policy = policies.of(found)
    return matching.plan(session, found.id, mapped=mapped, match=rule, policies=policy, temporary=temporary)


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


def _moved(session: Session, found: Import) -> int:
    """How many rows' plan no longer holds, which are noted then; quick when nobody wrote to contacts since."""
    planned = found.planned or {}
    if not planned.get("busy") and _moment(session)["clock"] == planned.get("clock"):
        return 0
    fresh = _match(session, found, temporary=True)
    return plan_rows.note_moves(session, found.id, f"{staging.SCHEMA}.{staging.plan_table(found.id)}", fresh)


def _note_moves(session: Session, found: Import) -> int:
    """Where the new plan differs from the one that somebody looked at, where that one no longer held."""
    seen = staging.seen_plan(session, found.id)
    if seen is None:
        plan_rows.forget_moves(session, found.id)
        return 0
    now = f"{staging.SCHEMA}.{staging.plan_table(found.id)}"
    return plan_rows.note_moves(session, found.id, seen, now)


def _plan_again(session: Session, import_id: int, moved: int) -> str:
    """Have a plan made in place of the one of which so many rows no longer hold; what to say of that."""
    staging.keep_seen(session, import_id)
    imports.record(session, import_id, state=State.CHECKED, moved=moved)
    lines = plan_rows.moved(session, import_id, after=-1, most=5)
    named = ", ".join(f"{row['line']:,}" for row in lines) + (", ..." if moved > len(lines) else "")
    return (
        f"Nothing was written: contacts changed since the plan was made, and {moved:,} of its rows no longer hold"
        f" (line {named})."
    )


def _left_out(session: Session, import_id: int, match: MatchRule) -> list[LeftOut]:
    """Staged rows that are not imported after all."""
    plan = f"{staging.SCHEMA}.{staging.plan_table(import_id)}"
    rows = session.execute(
        text(
            f"""SELECT p.line, p.action, p.target, p.rule, p.others, w.line AS winner FROM {plan} p
                LEFT JOIN {plan} w ON w.target = p.target AND p.action = 'duplicate'
                                  AND w.action IN ('update', 'unchanged')
                WHERE p.action IN ('ambiguous', 'duplicate') ORDER BY p.line"""
        )
    )
    return [
        LeftOut(
            row.line, "duplicate", f"Another row of the file means the same contact, number {row.target}.",
            [row.target], row.winner,
        )
        if row.action == "duplicate"
        else LeftOut(row.line, "rejected", _ambiguous(row.target, row.rule, match), row.others)
        for row in rows
    ]  # fmt: skip


def _ambiguous(contact: int, rule: int, match: MatchRule) -> str:
    shared = {1: "external id", 2: "e-mail and name", 3: "e-mail, company and website", 5: "LinkedIn address"}[rule]
    shared = "e-mail" if match is MatchRule.EMAIL else shared
    return f"Several contacts, number {contact} the first, have the row's {shared}: merge them, or change the row."


def _replace_notes(session: Session, import_id: int, undated: Sequence[dict[str, Any]]) -> None:
    """Count the values that went to extra, by header; `undated` are the notes of rows without a clear moment."""
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
    reason = "kept in extra: the value does not fit its field"
    notes = [*undated, *({"reason": reason, **note} for note in found)]
    if notes:
        session.execute(insert(ImportNote), [{"import_id": import_id, **note} for note in notes])


def _store_rejects(store: duckdb.DuckDBPyConnection, found: Import, by: Actor, *, present: bool) -> None:
    """Put every row that is not imported into import_rejects, with its cells, replacing what was there; `present` says
    whether there are any."""
    with working(found.id, by) as session:
        session.query(ImportReject).where(ImportReject.import_id == found.id).delete()
    if present:
        reader = stage_contacts.rejects(store, found.id, source_of(found))
        copy_in(database.libpq_url(_server_url(found.id)), ImportReject.__tablename__, reader)
    with working(found.id, by) as session:
        import_places.replace(session, found.id, Of.REJECTS, import_rejects.counted(found.id))
