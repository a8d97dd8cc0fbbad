"""The staging tables of an import: the rows as they would be stored, and the plan for each of them.

Both are unlogged: a crash of the server empties them, and the import then stages again from its stored file.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Dialect, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from models.contacts.table import ABOUT_EMAIL, FIELDS, Contact
from models.fields import Kind

SCHEMA = "staging"
UNWATCHED = "WITH (autovacuum_enabled = false)"  # written once, read a few times, dropped: vacuum would be in the way
DIALECT: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped
SAMPLED = 5_000  # updates among which examples are looked for first
# What contacts hold of a field that the plan changes, as `field=value`: nothing after the sign for an empty one. Of a
# long value its beginning and a hash, which tell whether it is still the same.
LONGEST_HELD = 100
HELD = (
    f"'{{name}}=' || CASE WHEN length({{value}}) > {LONGEST_HELD} THEN left({{value}}, {LONGEST_HELD}) || '…' ||"
    " md5({value}) ELSE coalesce({value}, '') END"
)
NAME = "split_part(change, '=', 1)"  # SQL for the field of such a `change`
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
    """The plan table from the SELECT `planned` of (line, action, target, rule, changes), replacing any.

    A temporary one serves to see whether the stored one still holds. Returns its full name.
    """
    name = f"pg_temp.{plan_table(import_id)}" if temporary else f"{SCHEMA}.{plan_table(import_id)}"
    session.execute(text(f"DROP TABLE IF EXISTS {name}"))
    kind = "TEMPORARY" if temporary else "UNLOGGED"
    # Of all that writes rows this alone reads in parallel.
    session.execute(text(f"CREATE {kind} TABLE {name} {UNWATCHED} AS {planned}"))
    return name


def drop(session: Session, import_id: int) -> None:
    session.execute(text(f"DROP TABLE IF EXISTS {SCHEMA}.{rows_table(import_id)}, {SCHEMA}.{plan_table(import_id)}"))


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


def changed_fields(session: Session, import_id: int) -> dict[str, int]:
    """Field -> contacts in which the plan changes it, the most changed first."""
    rows = session.execute(
        text(
            f"""SELECT {NAME}, count(*) FROM {SCHEMA}.{plan_table(import_id)}, unnest(changes) AS change
                GROUP BY 1 ORDER BY 2 DESC, 1"""
        )
    )
    return {row[0]: row[1] for row in rows}


def changed_values(
    session: Session, import_id: int, names: Sequence[str], *, most: int
) -> dict[str, list[tuple[Any, Any]]]:
    """By name, up to `most` pairs of what contacts hold and what the plan puts in its place, from the first lines.

    `names` are fields, or "extra". Nothing where the staging tables are gone.
    """
    if not names or not _exists(session, rows_table(import_id)) or not _exists(session, plan_table(import_id)):
        return {}
    chosen = _examples(session, import_id, names, most, among=f"LIMIT {SAMPLED}")
    for name in set(names) - set(chosen):  # one that changes seldom
        chosen |= _examples(session, import_id, [name], most)
    if not chosen:
        return {}
    lines = sorted({line for found in chosen.values() for line in found})
    pairs = _pairs(session, import_id, list(chosen), lines)
    return {name: [pairs[line][name] for line in found if line in pairs] for name, found in chosen.items()}


def _examples(
    session: Session, import_id: int, names: Sequence[str], most: int, *, among: str = ""
) -> dict[str, list[int]]:
    """By name up to `most` lines whose row changes it, from the updates `among` the first, or from all of them."""
    plan = f"{SCHEMA}.{plan_table(import_id)}"
    found = session.execute(
        text(
            f"""SELECT name, (array_agg(line ORDER BY line))[1:{most}] AS lines
            FROM (SELECT line, {NAME} AS name FROM (SELECT * FROM {plan} WHERE changes IS NOT NULL {among}) p,
                  unnest(changes) AS change) changed
            WHERE name = ANY(:names) GROUP BY name"""
        ),
        {"names": list(names)},
    )
    return {row.name: row.lines for row in found}


def _pairs(
    session: Session, import_id: int, names: Sequence[str], lines: Sequence[int]
) -> dict[int, dict[str, tuple[Any, Any]]]:
    """Line -> name -> (what the contact holds, what the row says): one pass over the rows, which have no index."""
    meant = "LEFT JOIN industry_meanings m ON m.key = lower(s.industry)" if "industry" in names else ""
    shown = ", ".join(f"{_ours(name)} AS ours_{name}, {_theirs(name)} AS theirs_{name}" for name in names)
    found = session.execute(
        text(
            f"""SELECT s.line, {shown} FROM {SCHEMA}.{rows_table(import_id)} s
            JOIN {SCHEMA}.{plan_table(import_id)} p USING (line) JOIN contacts c ON c.id = p.target
            LEFT JOIN industries i ON i.id = c.industry_id LEFT JOIN users u ON u.id = c.owner_id
            {meant} WHERE s.line = ANY(:lines) AND p.line = ANY(:lines)"""
        ),
        {"lines": list(lines)},
    ).mappings()
    return {row["line"]: {name: (row[f"ours_{name}"], row[f"theirs_{name}"]) for name in names} for row in found}


def _ours(name: str) -> str:
    if name not in FIELDS:
        return f"c.{name}"
    return {Kind.INDUSTRY: "i.name", Kind.OWNER: "u.email"}.get(FIELDS[name].kind, f"c.{name}")


def _theirs(name: str) -> str:
    if name not in FIELDS:
        return f"s.{name}::jsonb"
    if any(name in told for told in ABOUT_EMAIL.values()):
        return f"to_jsonb(s) ->> '{name}'"  # the file may not have it: what it brings is then nothing
    # What a former name, or that of a merged industry, comes to.
    return f"coalesce(m.name, s.{name})" if FIELDS[name].kind is Kind.INDUSTRY else f"s.{name}"


def _exists(session: Session, table: str) -> bool:
    return session.scalar(text("SELECT to_regclass(:name)"), {"name": f"{SCHEMA}.{table}"}) is not None
