"""The staging tables of an import: the rows as they would be stored, and the plan for each of them.

Both are unlogged: a crash of the server empties them, and the import then stages again from its stored file.
"""

from collections.abc import Sequence

from sqlalchemy import Dialect, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from models.contacts.table import FIELDS, Contact
from models.fields import Kind

SCHEMA = "staging"
UNWATCHED = "WITH (autovacuum_enabled = false)"  # written once, read a few times, dropped: vacuum would be in the way
DIALECT: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped
# What contacts hold of a field that the plan changes, as `field=value`: nothing after the sign for an empty one. Of a
# long value its beginning and a hash, which tell whether it is still the same.
LONGEST_HELD = 100
HELD = (
    f"'{{name}}=' || CASE WHEN length({{value}}) > {LONGEST_HELD} THEN left({{value}}, {LONGEST_HELD}) || '…' ||"
    " md5({value}) ELSE coalesce({value}, '') END"
)
NAME = "split_part(change, '=', 1)"  # SQL for the field of such a `change`
ACTIONS = ("create", "update", "unchanged", "duplicate", "ambiguous")
# Always there, mapped or not: matching reads them.
KEYS = ("first_name", "last_name", "email", "company", "website", "contact_id", "person_linkedin_url")


def rows_table(import_id: int) -> str:
    return f"import_{import_id}"


def plan_table(import_id: int) -> str:
    return f"plan_{import_id}"


def columns(mapped: Sequence[str], *, dated: bool = False) -> dict[str, str]:
    """Column -> SQL type. Industry and owner are text; `extra` is JSON as text; `warned` lists headers. `dated` rows
    have their moment, in UTC."""
    names = [name for name in FIELDS if name in mapped or name in KEYS]
    # What is read for every row stands first: Postgres finds a column by going over those before it.
    names.sort(key=lambda name: FIELDS[name].kind is not Kind.INDUSTRY)
    moment = {"row_at": "timestamp"} if dated else {}
    fields = {name: _sql_type(name) for name in names}
    return {"line": "bigint", **moment, "warned": "text[]", **fields, "extra": "text"}


def _sql_type(name: str) -> str:
    if FIELDS[name].kind in (Kind.INDUSTRY, Kind.OWNER):
        return "text"
    return str(Contact.__table__.c[name].type.compile(dialect=DIALECT))


def create(session: Session, import_id: int, mapped: Sequence[str], *, dated: bool = False) -> None:
    """Make both tables empty, whatever was there."""
    drop(session, import_id)
    listed = ", ".join(f"{name} {sql_type}" for name, sql_type in columns(mapped, dated=dated).items())
    session.execute(text(f"CREATE UNLOGGED TABLE {SCHEMA}.{rows_table(import_id)} ({listed}) {UNWATCHED}"))


def create_plan(session: Session, import_id: int, planned: str, *, temporary: bool = False) -> str:
    """The plan table from the SELECT `planned` of (line, action, target, rule, changes, others), replacing any.

    A temporary one serves to see whether the stored one still holds. Returns its full name.
    """
    name = f"pg_temp.{plan_table(import_id)}" if temporary else f"{SCHEMA}.{plan_table(import_id)}"
    session.execute(text(f"DROP TABLE IF EXISTS {name}"))
    kind = "TEMPORARY" if temporary else "UNLOGGED"
    # Of all that writes rows this alone reads in parallel.
    session.execute(text(f"CREATE {kind} TABLE {name} {UNWATCHED} AS {planned}"))
    return name


def drop(session: Session, import_id: int) -> None:
    tables = (rows_table(import_id), plan_table(import_id), _seen_table(import_id))
    session.execute(text(f"DROP TABLE IF EXISTS {', '.join(f'{SCHEMA}.{table}' for table in tables)}"))


def keep_seen(session: Session, import_id: int) -> None:
    """Put the plan, which no longer holds, aside until there is a new one: somebody looked at it."""
    forget_seen(session, import_id)
    session.execute(text(f"ALTER TABLE {SCHEMA}.{plan_table(import_id)} RENAME TO {_seen_table(import_id)}"))


def seen_plan(session: Session, import_id: int) -> str | None:
    """The full name of the table that was put aside; None where there is none, or a crash has emptied it."""
    name = f"{SCHEMA}.{_seen_table(import_id)}"
    return name if _count(session, name) else None


def forget_seen(session: Session, import_id: int) -> None:
    session.execute(text(f"DROP TABLE IF EXISTS {SCHEMA}.{_seen_table(import_id)}"))


def _seen_table(import_id: int) -> str:
    return f"seen_{import_id}"


def row_count(session: Session, import_id: int) -> int | None:
    """Rows in the rows table; None where there is no such table."""
    return _count(session, f"{SCHEMA}.{rows_table(import_id)}")


def plan_count(session: Session, import_id: int) -> int | None:
    return _count(session, f"{SCHEMA}.{plan_table(import_id)}")


def _count(session: Session, name: str) -> int | None:
    if session.scalar(text("SELECT to_regclass(:name)"), {"name": name}) is None:
        return None
    return int(session.scalar(text(f"SELECT count(*) FROM {name}")) or 0)


def copied(session: Session, import_id: int) -> int | None:
    """Rows that a COPY into the rows table has taken so far, seen from outside; None while there is none."""
    counted = "SELECT tuples_processed FROM pg_stat_progress_copy WHERE relid = to_regclass(:name)"
    found = session.scalar(text(counted), {"name": f"{SCHEMA}.{rows_table(import_id)}"})
    return None if found is None else int(found)


def plan_account(session: Session, import_id: int) -> tuple[dict[str, int], str]:
    """Action -> rows for which the plan says so; and a digest, which two plans share that say the same of every row."""
    # Hashed twice: a record's hash is a sum over its columns, which does not tell which row a value belongs to.
    summed = f"""SELECT action, count(*) AS number, sum(hashint8extended(hash_record_extended(planned, 0), 0)) AS digest
        FROM {SCHEMA}.{plan_table(import_id)} AS planned GROUP BY action"""
    rows = session.execute(text(summed)).all()
    return {row.action: row.number for row in rows}, str(sum(row.digest for row in rows))


def exists(session: Session, import_id: int) -> bool:
    """Whether both tables are there."""
    names = [f"{SCHEMA}.{table}" for table in (rows_table(import_id), plan_table(import_id))]
    found = session.scalar(
        text("SELECT count(to_regclass(name)) FROM unnest(CAST(:names AS text[])) AS name"), {"names": names}
    )
    return int(found or 0) == len(names)


def rows_exist(session: Session, import_id: int) -> bool:
    return bool(column_names(session, import_id))


def column_names(session: Session, import_id: int) -> set[str]:
    """Those of the rows table; none where it is gone."""
    found = session.scalars(
        text(
            "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(:name) AND attnum > 0 AND NOT attisdropped"
        ),
        {"name": f"{SCHEMA}.{rows_table(import_id)}"},
    )
    return set(found)
