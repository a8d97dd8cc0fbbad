"""Taking an import back, and bringing it back: by value, field by field, in sets, each in the caller's transaction.

Of a contact that the import updated each field that still holds what the import wrote goes back; one that was changed
since stays. A contact that it created goes, unless it was changed. Bringing back does the same with what the last undo
wrote, whose versions in contact_history carry its number. undo_values.py has the rules.

Three temporary tables: `undoing` has a line for each contact that is concerned: `before`, the version that it goes back
to (NULL where there was none), `wrote`, the version that holds what was written (NULL where the contact itself does,
since nothing changed it), `present`, and `returns`, the version that comes back of one that is not there. `compared`
has those that were changed since: the fields that go back and those that stay. `holding` has the ids of contacts that
the import created and others were merged into, which are nowhere else: they stay, too.
"""

from dataclasses import dataclass

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from models import import_undos
from models.contacts import history_retention, undo_values
from models.contacts.changes import BULK_LOAD, COUNTED, MUCH_NEW, Say, Written, build, prepare_for_load, rewritten
from models.contacts.table import Contact
from models.errors import Conflict
from models.import_progress import Step
from models.import_undos import Kind, Why
from models.imports import Import

WORK_MEM = "256MB"  # of the server: a million ids are joined without going to disk
_COLUMNS = [column.name for column in Contact.__table__.columns]


@dataclass(frozen=True)
class Undone:
    """Contacts removed, contacts that are as before the import, and contacts of which something was kept."""

    removed: int
    restored: int
    kept: int


@dataclass(frozen=True)
class Redone:
    """Contacts that came back, contacts that the import has changed again, and contacts of which something was kept."""

    returned: int
    restored: int
    kept: int


def undo_import(session: Session, import_id: int, *, say: Say = lambda step, written: None) -> Undone:
    """Take the import back; `say` how far it is. The caller holds the lock on contacts.

    Contacts that somebody deleted since stay deleted, and count as kept. Raises Conflict where the history that it
    would read was removed.
    """
    done_at = session.scalar(select(Import.finished_at).where(Import.id == import_id))
    history_retention.require_undoable(session, f"Import {import_id}", done_at)
    run = import_undos.begin(session, import_id, Kind.UNDO)
    _find(session, _OF_IMPORT, import_id=import_id)
    _compare(session)
    removed = _counted(session, f"SELECT count(*) FROM ({_REMOVED}) AS removed")
    kept = _keep(session, run, Why.CREATED, before="x.before")
    total = _counted(session, "SELECT count(*) FROM undoing")
    say(Step.UNDO, Written(total - kept, rewritten, rewritten(session)))
    _put_back(session)
    _remove(session)
    removed += _take_back_uncovered(session, import_id)
    done = Undone(removed, total - removed - kept, kept)
    _finish(session, run, vars(done), changed=removed)
    return done


def redo_import(session: Session, import_id: int, *, say: Say = lambda step, written: None) -> Redone:
    """Take the last undo of the import back; `say` how far it is. The caller holds the lock on contacts.

    Raises Conflict where an older version took it back, or the history that it would read was removed.
    """
    undone = import_undos.last(session, import_id)
    if undone is None or undone.kind != Kind.UNDO:
        raise Conflict(f"Import {import_id} was taken back by an older version: import the file again instead.")
    history_retention.require_undoable(session, f"The undo of import {import_id}", undone.at)
    run = import_undos.begin(session, import_id, Kind.REDO)
    _find(session, _OF_UNDO, undo_id=undone.id)
    _compare(session)
    returning = _counted(session, "SELECT count(returns) FROM undoing")
    there = _counted(session, "SELECT count(*) FROM compared WHERE before IS NULL AND NOT stays")
    kept = _keep(session, run, Why.RESTORED, before="coalesce(x.before, x.wrote)")
    total = _counted(session, "SELECT count(*) FROM undoing")
    say(Step.REDO, Written(total - kept - there, rewritten, rewritten(session)))
    _put_back(session)
    if returning:
        _bring_back(session, returning, say)
    done = Redone(returning + there, total - returning - there - kept, kept)
    _finish(session, run, vars(done), changed=returning)
    return done


# `updated` are the versions that the import itself replaced, not those that a redo of it did. Whatever first changed
# what the import left has left a version that carries the import's number, and it is the first that does.
_OF_IMPORT = """
WITH updated AS (
    SELECT id, min(version_id) AS version_id FROM contact_history
    WHERE replaced_import = :import_id AND replaced_undo IS NULL GROUP BY id
), wrote AS (
    SELECT id, min(version_id) AS version_id FROM contact_history WHERE import_id = :import_id GROUP BY id
), concerned AS (
    SELECT id FROM updated UNION SELECT id FROM wrote UNION SELECT id FROM contacts WHERE import_id = :import_id
)
SELECT id, updated.version_id AS before, wrote.version_id AS wrote, contacts.id IS NOT NULL AS present,
       NULL::bigint AS returns
FROM concerned LEFT JOIN updated USING (id) LEFT JOIN wrote USING (id) LEFT JOIN contacts USING (id)"""

# Nobody else writes to contacts during an undo: what came after it has greater numbers than all that it left.
_OF_UNDO = """
WITH undone AS MATERIALIZED (
    SELECT id, min(version_id) AS version_id, bool_or(replaced_how = 'delete') AS removed FROM contact_history
    WHERE replaced_undo = :undo_id GROUP BY id
), later AS (
    SELECT id, min(version_id) AS version_id FROM contact_history
    WHERE version_id > (SELECT max(version_id) FROM contact_history WHERE replaced_undo = :undo_id) GROUP BY id
)
SELECT id, CASE WHEN NOT removed THEN undone.version_id END AS before,
       CASE WHEN NOT removed THEN later.version_id WHEN contacts.id IS NOT NULL THEN undone.version_id END AS wrote,
       contacts.id IS NOT NULL AS present,
       CASE WHEN removed AND contacts.id IS NULL AND later.id IS NULL THEN undone.version_id END AS returns
FROM undone LEFT JOIN later USING (id) LEFT JOIN contacts USING (id)"""

# Imports that were undone before, and that left contacts as they were which this undo has reached; the newest first.
_UNCOVERED = """
SELECT i.id FROM imports i
JOIN LATERAL (SELECT * FROM import_undos u WHERE u.import_id = i.id ORDER BY u.id DESC LIMIT 1) u ON u.kind = 'undo'
WHERE i.state = 'undone' AND i.id <> :import_id
    AND EXISTS (SELECT FROM import_kept k WHERE k.undo_id = u.id AND k.contact_id IN (SELECT id FROM reached))
ORDER BY i.id DESC"""

_KEPT_BY = """WHERE id IN (SELECT id FROM reached) AND id IN (SELECT k.contact_id FROM import_kept k
    WHERE k.undo_id = (SELECT max(u.id) FROM import_undos u WHERE u.import_id = :import_id))"""

# Merges that stand, and those of what was merged then: what the survivor holds that the import did not bring.
_HOLDING = """
WITH RECURSIVE held AS (
    SELECT m.survivor_id, p.contact_id, p.version_id FROM contact_merges m
    JOIN contact_merge_parts p ON p.merge_id = m.id AND m.undone_at IS NULL
    UNION
    SELECT h.survivor_id, p.contact_id, p.version_id FROM held h
    JOIN contact_merges m ON m.survivor_id = h.contact_id AND m.undone_at IS NULL
    JOIN contact_merge_parts p ON p.merge_id = m.id
)
SELECT u.id, max(h.version_id) AS version_id FROM held h
JOIN undoing u ON u.id = h.survivor_id AND u.before IS NULL AND u.present
WHERE NOT EXISTS (SELECT FROM undoing o WHERE o.id = h.contact_id AND o.before IS NULL)
    AND NOT EXISTS (SELECT FROM contacts c WHERE c.id = h.contact_id)
GROUP BY u.id"""

_UNCHANGED = "before IS NULL AND wrote IS NULL AND present"

_REMOVED = f"""SELECT id FROM undoing WHERE {_UNCHANGED} AND id NOT IN (SELECT id FROM holding)
    UNION ALL SELECT id FROM compared WHERE before IS NULL AND NOT stays"""


def _find(session: Session, concerned: str, **parameters: int) -> None:
    session.execute(text(f"SELECT set_config('work_mem', '{WORK_MEM}', true)"))
    session.execute(text("DROP TABLE IF EXISTS pg_temp.undoing, pg_temp.compared, pg_temp.holding"))
    session.execute(text(f"CREATE TEMPORARY TABLE undoing ON COMMIT DROP AS {concerned}"), parameters)
    session.execute(text("ANALYZE undoing"))
    session.execute(text(f"CREATE TEMPORARY TABLE holding ON COMMIT DROP AS {_HOLDING}"))


def _compare(session: Session) -> None:
    """`sourced`: whether it still counts as a contact of that import, or of the one before."""
    source = "({0}.import_id, {0}.import_line)"
    compared = f"""
        SELECT u.id, u.before, u.wrote,
               {source.format("c")} IS NOT DISTINCT FROM {source.format("a")} AS sourced,
               CASE WHEN u.before IS NULL THEN '{{}}' ELSE {undo_values.put_back()} END AS back,
               CASE WHEN u.before IS NULL THEN {undo_values.differing()} ELSE {undo_values.staying()} END AS kept
        FROM undoing u JOIN contacts c USING (id) JOIN contact_history a ON a.version_id = u.wrote
        LEFT JOIN contact_history b ON b.version_id = u.before"""
    stays = "kept <> '{}' OR (before IS NULL AND (NOT sourced OR id IN (SELECT id FROM holding)))"
    made = f"CREATE TEMPORARY TABLE compared ON COMMIT DROP AS SELECT *, {stays} AS stays FROM ({compared}) AS one"
    session.execute(text(made))
    session.execute(text("ANALYZE compared"))


def _keep(session: Session, run: int, alone: Why, *, before: str) -> int:
    """List what is left as it is, before anything is written; returns how many contacts. `alone` is why where there is
    nothing that the contact could go back to."""
    columns = "undo_id, contact_id, why, fields, changes, before, rest"
    stays = f"""SELECT :run, x.id, CASE WHEN x.before IS NULL THEN :alone ELSE :changed END, x.kept,
            coalesce(nullif({undo_values.changes("x.kept", "h.version_id")}, '{{}}'), ARRAY[max(h.version_id)]),
            {before}, x.back <> '{{}}'
        FROM compared x JOIN contacts c USING (id)
        JOIN contact_history h ON h.id = x.id AND h.version_id >= x.wrote
        WHERE x.stays GROUP BY x.id, x.before, x.wrote, x.kept, x.back"""
    gone = """SELECT :run, u.id, CASE WHEN p.version_id IS NULL THEN :deleted ELSE :merged END, '{}'::text[],
            ARRAY[h.version_id], u.before, false
        FROM undoing u
        CROSS JOIN LATERAL (SELECT max(version_id) AS version_id FROM contact_history WHERE id = u.id) h
        LEFT JOIN contact_merge_parts p ON p.contact_id = u.id AND p.version_id = h.version_id
        WHERE NOT u.present AND u.returns IS NULL"""
    holds = f"""SELECT :run, u.id, :alone, '{{}}'::text[], ARRAY[holding.version_id], u.before, false
        FROM undoing u JOIN holding USING (id) WHERE {_UNCHANGED}"""
    kept = f"{stays} UNION ALL {gone} UNION ALL {holds}"
    listed = f"INSERT INTO import_kept ({columns}) SELECT * FROM ({kept}) AS kept ORDER BY 2"
    reasons = {"alone": alone, "changed": Why.CHANGED, "deleted": Why.DELETED, "merged": Why.MERGED}
    session.execute(text(listed), {"run": run, **reasons})
    return _counted(session, "SELECT count(*) FROM import_kept WHERE undo_id = :run", run=run)


def _put_back(session: Session) -> None:
    """Those that nothing changed since as they were, the others field by field."""
    source = {name: f"b.{name}" for name in ("import_id", "import_line")}
    whole = undo_values.as_before("b") | source | {"updated_at": f"CASE WHEN {COUNTED} THEN now() END"}
    session.execute(
        text(
            f"""UPDATE contacts SET {_sets(whole)}
            FROM undoing u JOIN contact_history b ON b.version_id = u.before {undo_values.references("b")}
            WHERE u.wrote IS NULL AND u.present AND contacts.id = u.id"""
        )
    )
    source = {name: f"CASE WHEN x.sourced THEN b.{name} ELSE contacts.{name} END" for name in source}
    partly = undo_values.partly_as_before("x.back") | source | {"updated_at": f"CASE WHEN {COUNTED} THEN now() END"}
    session.execute(
        text(
            f"""UPDATE contacts SET {_sets(partly)}
            FROM compared x JOIN contact_history a ON a.version_id = x.wrote
            JOIN contact_history b ON b.version_id = x.before {undo_values.references("b")}
            WHERE (x.back <> '{{}}' OR x.sourced) AND contacts.id = x.id"""
        )
    )


def _remove(session: Session) -> None:
    session.execute(text(f"DELETE FROM contacts USING ({_REMOVED}) AS gone WHERE contacts.id = gone.id AND {COUNTED}"))


def _take_back_uncovered(session: Session, import_id: int) -> int:
    """Where two imports changed a contact, and the earlier was undone first, the later one's undo has put back what the
    earlier one wrote: that goes, too. Returns how many contacts the earlier ones had created."""
    session.execute(text("DROP TABLE IF EXISTS pg_temp.reached"))
    reached = "SELECT id FROM undoing WHERE present AND id NOT IN (SELECT id FROM compared WHERE before IS NULL)"
    session.execute(text(f"CREATE TEMPORARY TABLE reached ON COMMIT DROP AS {reached}"))
    removed = 0
    for earlier in session.scalars(text(_UNCOVERED), {"import_id": import_id}).all():
        _find(session, f"{_OF_IMPORT} {_KEPT_BY}", import_id=earlier)
        _compare(session)
        removed += _counted(session, f"SELECT count(*) FROM ({_REMOVED}) AS removed")
        _put_back(session)
        _remove(session)
    return removed


def _bring_back(session: Session, returning: int, say: Say) -> None:
    """Insert what was removed, with its own number; like restoring by hand, it leaves a version that says who did it.

    Where there is no contact at all the indexes are built afterwards, as after a first load.
    """
    empty = not session.scalar(text("SELECT EXISTS (SELECT FROM contacts)"))
    definitions = prepare_for_load(session) if empty and returning >= BULK_LOAD else []
    values = {name: f"h.{name}" for name in _COLUMNS} | undo_values.as_before("h")
    values["updated_at"] = f"CASE WHEN {COUNTED} THEN now() END"
    returned = f"FROM undoing u JOIN contact_history h ON h.version_id = u.returns {undo_values.references('h')}"
    session.execute(
        text(f"INSERT INTO contacts ({', '.join(values)}) SELECT {', '.join(values.values())} {returned} ORDER BY h.id")
    )
    settings = {"replaced_by": "by", "replaced_import": "import", "replaced_undo": "undo"}
    noted = {"replaced_how": "'update'"} | {
        column: f"nullif(current_setting('appointment360.{name}', true), '')::integer"
        for column, name in settings.items()
    }
    noted |= {name: f"h.{name}" for name in _COLUMNS}
    session.execute(
        text(
            f"""INSERT INTO contact_history ({", ".join(noted)}) SELECT {", ".join(noted.values())}
            FROM undoing u JOIN contact_history h ON h.version_id = u.returns ORDER BY h.id"""
        )
    )
    build(session, definitions, say)


def _finish(session: Session, run: int, counts: dict[str, int], *, changed: int) -> None:
    import_undos.finish(session, run, counts)
    known = session.scalar(text("SELECT reltuples FROM pg_class WHERE oid = 'contacts'::regclass")) or 0
    if changed * MUCH_NEW > known:
        session.execute(text("ANALYZE contacts"))


def _counted(session: Session, statement: str, **parameters: int) -> int:
    return int(session.scalar(text(statement), parameters) or 0)


def _sets(values: dict[str, str]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in values.items())
