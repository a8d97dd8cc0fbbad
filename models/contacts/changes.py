"""Writing contacts in sets: carrying out an import's plan. undo.py takes it back."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.contacts import staging
from models.contacts.policies import ABOUT_ADDRESS, EXTRA, Policies
from models.contacts.table import FIELDS
from models.fields import Kind
from models.import_progress import Step
from models.imports import Keep

DEFAULTS = {"status": "'active'", "is_active": "true"}
# Below this, keeping indexes up row by row is cheaper than building them anew.
BULK_LOAD = 50_000
COUNTED = "nextval('contacts_rewritten') > 0"  # SQL, always true: see rewritten
PARTS = 1000  # of an index, as it is counted while it is built
MUCH_NEW = 10  # with a tenth of new rows the planner's statistics are taken anew; autovacuum sees to the rest


@dataclass(frozen=True)
class Written:
    """How whoever looks on counts what a statement writes while it runs: `read` grows from `before` by `total`."""

    total: int
    read: Callable[[Session], int | None]
    before: int = 0


Say = Callable[[Step, Written | None], None]


def commit_plan(
    session: Session,
    import_id: int,
    *,
    mapped: tuple[str, ...],
    policies: Policies,
    staged: int,
    creating: int,
    updating: int,
    by_id: int | None,
    say: Say = lambda step, written: None,
) -> None:
    """Carry out the stored plan in the caller's transaction, which holds the lock on contacts; `say` what is begun.

    `creating` of the `staged` rows are new, `updating` of them change a contact. A large load into an empty table
    builds its keys and indexes afterwards: a third of the time.
    """
    _add_industries(session, import_id, mapped, some=creating < staged)
    empty = not session.scalar(text("SELECT EXISTS (SELECT FROM contacts)"))
    if empty and creating >= BULK_LOAD:
        definitions = prepare_for_load(session)
        say(Step.CREATE, Written(creating, numbered, numbered(session)))
        _create(session, import_id, mapped, by_id, some=creating < staged)
        build(session, definitions, say)
    else:
        if creating:
            say(Step.CREATE, Written(creating, numbered, numbered(session)))
            _create(session, import_id, mapped, by_id, some=creating < staged)
        if updating:
            say(Step.UPDATE, Written(updating, rewritten, rewritten(session)))
            _update(session, import_id, mapped, policies)
    say(Step.FINISH, None)
    # Here, not after the transaction: there each page it looks at would be written to the log.
    known = session.scalar(text("SELECT reltuples FROM pg_class WHERE oid = 'contacts'::regclass")) or 0
    if creating * MUCH_NEW > known:
        session.execute(text("ANALYZE contacts"))


def numbered(session: Session) -> int:
    """How many numbers contacts have been given so far, those of transactions that are still open included."""
    return int(session.scalar(text("SELECT last_value - 1 + is_called::int FROM contacts_id_seq")) or 0)


def rewritten(session: Session) -> int:
    """How many contacts were changed or removed so far, those of transactions that are still open included: what is
    written anew counts one half, and the version of it that the history keeps, afterwards, the other.

    `contacts_rewritten` counts for this alone. It stands in the statements that change many at a time, and costs a
    tenth of a microsecond for each, where the change costs fifty.
    """
    both = "SELECT r.last_value + h.last_value FROM contacts_rewritten r, contact_history_version_id_seq h"
    return int(session.scalar(text(both)) or 0) // 2


def build(session: Session, definitions: list[str], say: Say) -> None:
    """Build the indexes and keys one after the other; each counts PARTS."""
    built = 0

    def read(looking: Session) -> int:
        return built * PARTS + int(PARTS * (looking.scalar(text(INDEX_BUILT)) or 0))

    say(Step.INDEX, Written(PARTS * len(definitions), read))
    for definition in definitions:
        session.execute(text(definition))
        built += 1


# Of the index that is being built, the share: reading the table is one half, what is written of it the other. While the
# table's first block is read, Postgres says that all of them are.
INDEX_BUILT = """SELECT (CASE WHEN blocks_done < blocks_total OR phase ~ 'sorting|loading'
            THEN coalesce(blocks_done::float / nullif(blocks_total, 0), 0) ELSE 0 END
        + coalesce(least(tuples_done::float / nullif(tuples_total, 0), 1), 0)) / 2
    FROM pg_stat_progress_create_index WHERE relid = 'contacts'::regclass LIMIT 1"""


def _add_industries(session: Session, import_id: int, mapped: tuple[str, ...], *, some: bool) -> None:
    """Those that no industry is or was called, of the rows that the plan writes, which are all or `some`."""
    if "industry" not in mapped:
        return
    # Read by itself, not inside the INSERT: only a plain SELECT is read by several processes.
    named = session.execute(
        text(
            f"""SELECT lower(industry) AS key, min(industry) AS name FROM {_rows(import_id)}
            WHERE industry IS NOT NULL GROUP BY 1"""
        )
    ).all()
    known = set(session.scalars(text("SELECT key FROM industry_meanings")))
    unknown = {key: name for key, name in named if key not in known}
    if not unknown:
        return
    written = f"""WHERE EXISTS (SELECT FROM {_rows(import_id)} s JOIN {_plan(import_id)} p USING (line)
        WHERE lower(s.industry) = unknown.key
          AND (p.action = 'create' OR EXISTS (SELECT FROM unnest(p.changes) AS one WHERE one LIKE 'industry=%')))"""
    session.execute(
        text(
            f"""INSERT INTO industries (name)
            SELECT name FROM unnest(CAST(:keys AS text[]), CAST(:names AS text[])) AS unknown (key, name)
            {written if some else ""}
            ORDER BY name
            ON CONFLICT (lower(name)) DO NOTHING"""
        ),
        {"keys": list(unknown), "names": list(unknown.values())},
    )
    session.execute(text("ANALYZE industries"))  # what is searched by industry depends on it, and no other does it soon


def prepare_for_load(session: Session) -> list[str]:
    """Drop every index and key of the empty contacts; returns the DDL that brings them back.

    The references to other tables go, too: checking a million rows at once takes a second, one by one ten. Not the one
    to users: without it nobody could be recognised until the end, for who drops a reference locks both tables, and few
    rows name an owner. The truncation gives the table a new file, which a server with wal_level = minimal writes once,
    without a log (PostgreSQL, "Populating a Database").
    """
    session.execute(text("SELECT set_config('maintenance_work_mem', '512MB', true)"))
    # Where another table refers to contacts, neither its primary key nor its file may go.
    referred = session.scalar(
        text("SELECT EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND confrelid = 'contacts'::regclass)")
    )
    keys = session.execute(
        text(
            """SELECT conname, pg_get_constraintdef(oid) AS definition FROM pg_constraint
               WHERE conrelid = 'contacts'::regclass
                 AND (contype = 'f' AND confrelid <> 'users'::regclass OR contype = 'p' AND NOT :referred)
               ORDER BY contype DESC"""
        ),
        {"referred": referred},
    ).all()
    indexes = session.execute(
        text(
            """SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition FROM pg_index
               WHERE indrelid = 'contacts'::regclass AND NOT indisprimary"""
        )
    ).all()
    for name, _ in indexes:
        session.execute(text(f"DROP INDEX {name}"))
    for name, _ in keys:
        session.execute(text(f"ALTER TABLE contacts DROP CONSTRAINT {name}"))
    if not referred:
        session.execute(text("TRUNCATE contacts"))
        # Which tells whoever follows the feed that all are others: nobody need keep each of the new rows for it.
        session.execute(text("ALTER TABLE contacts DISABLE TRIGGER contacts_fed_inserted"))
    return [
        *(definition.replace(":", r"\:") for _, definition in indexes),
        *(f"ALTER TABLE contacts ADD CONSTRAINT {name} {definition}" for name, definition in keys),
        *([] if referred else ["ALTER TABLE contacts ENABLE TRIGGER contacts_fed_inserted"]),
    ]


def _create(session: Session, import_id: int, mapped: tuple[str, ...], by_id: int | None, *, some: bool) -> None:
    values = {FIELDS[name].column: _stored(name) for name in mapped}
    for column, default in DEFAULTS.items():
        values[column] = f"coalesce(s.{column}, {default})" if column in mapped else default
    # Where every row is new they come as they lie, in the file's order: to sort a million wide rows takes seconds.
    chosen = f"JOIN {_plan(import_id)} p USING (line) WHERE p.action = 'create' ORDER BY s.line" if some else ""
    values |= {"extra": "s.extra::jsonb", "created_by": ":by", "import_id": ":import_id", "import_line": "s.line"}
    session.execute(
        text(
            f"""INSERT INTO contacts ({", ".join(values)}) SELECT {", ".join(values.values())}
            FROM {_rows(import_id)} s {_references(mapped)} {chosen}"""
        ),
        {"by": by_id, "import_id": import_id},
    )


def _update(session: Session, import_id: int, mapped: tuple[str, ...], policies: Policies) -> None:
    session.execute(
        text(
            f"""UPDATE contacts SET {", ".join(_sets(mapped, policies))}, updated_at = now(), import_id = :import_id,
                import_line = CASE WHEN {COUNTED} THEN s.line END
            FROM {_rows(import_id)} s JOIN {_plan(import_id)} p USING (line) {_references(mapped)}
            WHERE p.action = 'update' AND contacts.id = p.target"""
        ),
        {"import_id": import_id},
    )


def _sets(mapped: tuple[str, ...], policies: Policies) -> list[str]:
    """`column = value` for what rows may change of contacts, which the plan compared with the same values."""
    told = ABOUT_ADDRESS if "email" in mapped else ()
    sets = []
    for name in mapped:
        column = FIELDS[name].column
        if name not in told and policies.of(name) is not Keep.NEVER:
            sets.append(f"{column} = {policies.value(name, f'contacts.{column}', _stored(name), 'contacts')}")
    for name in told:
        said = _stored(name) if name in mapped else None
        sets.append(f"{name} = {policies.value_about_address(name, said, 'contacts')}")
    if policies.of(EXTRA) is not Keep.NEVER:
        ours, theirs = "coalesce(contacts.extra, '{}')", "coalesce(s.extra::jsonb, '{}')"
        sets.append(f"extra = nullif({policies.merged_extra(ours, theirs, 'contacts')}, '{{}}')")
    return sets


def _stored(name: str) -> str:
    return {Kind.INDUSTRY: "i.id", Kind.OWNER: "u.id"}.get(FIELDS[name].kind, f"s.{name}")


def _references(mapped: tuple[str, ...]) -> str:
    joins = []
    if "industry" in mapped:
        joins.append("LEFT JOIN industry_meanings i ON i.key = lower(s.industry)")
    if "owner" in mapped:
        joins.append("LEFT JOIN users u ON lower(u.email) = s.owner")
    return " ".join(joins)


def _rows(import_id: int) -> str:
    return f"{staging.SCHEMA}.{staging.rows_table(import_id)}"


def _plan(import_id: int) -> str:
    return f"{staging.SCHEMA}.{staging.plan_table(import_id)}"
