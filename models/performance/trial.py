"""Suggestions are tried before they are made: on a copy of some of the table, which is never there for anybody else.

The copy is a temporary table of the same name, columns and indexes, in a transaction that is rolled back: the statement
is planned as it stands (EXPLAIN GENERIC_PLAN: its values are not known), finds the copy first, and after a crash
nothing is left.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from models.database import Database, libpq_url

ROWS = 50_000  # of a copy
PATIENCE = "20s"  # of the server, for each statement
WORTH = 0.7  # of the cost before, at most
LEAST_ROWS = 5_000  # of a table whose scan an index is looked for
CONDITION = re.compile(r"\(*(?:\w+\.)?(\w+)\)*(?:::[\w ]+)?\)* (=|<=?|>=?) \(*(?:\$\d+|')")


@dataclass(frozen=True)
class Candidate:
    """An index that a scan of the whole table would not need to be without: by `columns`, those of = first."""

    table: str
    columns: tuple[str, ...]

    @property
    def sql(self) -> str:
        return f"CREATE INDEX CONCURRENTLY ON {self.table} ({', '.join(self.columns)})"


@dataclass(frozen=True)
class Tried:
    """What the planner reckons for the statement, and milliseconds of a look for one value, before and after."""

    rows: int
    cost_before: float
    cost_after: float
    ms_before: float
    ms_after: float

    @property
    def holds(self) -> bool:
        return self.cost_after <= WORTH * self.cost_before

    @property
    def sentence(self) -> str:
        return (
            f"On a copy of {self.rows:,} rows the statement costs {self.cost_after:,.0f} instead of "
            f"{self.cost_before:,.0f}, and looking for one value took {self.ms_after:.2f} ms instead of "
            f"{self.ms_before:.2f} ms."
        )


@contextmanager
def laboratory() -> Iterator[psycopg.Connection[Any]]:
    """A transaction in which anything may be tried, since nothing of it stays."""
    with psycopg.connect(libpq_url(Database.url or ""), application_name="performance report") as connection:
        connection.prepare_threshold = None
        connection.execute(f"SET LOCAL statement_timeout = '{PATIENCE}'")
        try:
            yield connection
        finally:
            connection.rollback()


def candidate(statement: str) -> Candidate | None:
    """The index that the statement's first scan of a whole table asks for; None where it asks for none, or its plan
    cannot be made."""
    with laboratory() as connection:
        plan = _plan(connection, statement)
        for node in _nodes(plan) if plan else ():
            if node["Node Type"] != "Seq Scan" or _rows(connection, node["Relation Name"]) < LEAST_ROWS:
                continue
            if columns := _columns(node.get("Filter", "")):
                return Candidate(node["Relation Name"], columns)
    return None


def try_index(statement: str, wanted: Candidate) -> Tried | None:
    """None where it could not be tried, such as a table that this role may not copy."""
    with laboratory() as connection:
        try:
            rows = _copy(connection, wanted.table)
            before, look_before = _plan(connection, statement), _look(connection, wanted)
            if before is None:
                return None
            columns = sql.SQL(", ").join(map(sql.Identifier, wanted.columns))
            table = sql.Identifier("pg_temp", wanted.table)
            connection.execute(sql.SQL("CREATE INDEX ON {} ({})").format(table, columns))
            connection.execute(sql.SQL("ANALYZE {}").format(table))
            after, look_after = _plan(connection, statement), _look(connection, wanted)
        except psycopg.Error:
            return None
    return Tried(rows, before["Total Cost"], after["Total Cost"], look_before, look_after) if after else None


def without_index(table: str, definition: str, statements: list[str]) -> tuple[int, int] | None:
    """How many of the statements read a copy of the table, and how many of them cost more without that index; None
    where it could not be tried."""
    how = definition.partition(" USING ")[2]
    with laboratory() as connection:
        try:
            _copy(connection, table)
            before = [_cost_on(connection, one, table) for one in statements]
            copied = connection.execute(
                "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
                " WHERE indrelid = to_regclass(%s)", [f"pg_temp.{table}"],
            ).fetchall()  # fmt: skip
            for name, made in copied:
                if made.partition(" USING ")[2] == how:
                    connection.execute(f"DROP INDEX {name}")
                    break
            after = [_cost_on(connection, one, table) for one in statements]
        except psycopg.Error:
            return None
    both = [(one, two) for one, two in zip(before, after, strict=True) if one is not None and two is not None]
    return len(both), sum(two > one * 1.01 for one, two in both)


def _copy(connection: psycopg.Connection[Any], table: str) -> int:
    """Rows in the copy: all, or as many as fit of a sample of pages."""
    name = sql.Identifier(table)
    share = min(100.0, 110.0 * ROWS / max(1, _rows(connection, table)))
    connection.execute(sql.SQL("CREATE TEMP TABLE {0} (LIKE public.{0} INCLUDING ALL)").format(name))
    columns = [
        sql.Identifier(row[0])
        for row in connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped"
            " AND attgenerated = ''", [f'pg_temp."{table}"'],
        )
    ]  # fmt: skip
    filled = connection.execute(
        sql.SQL(
            "INSERT INTO pg_temp.{0} ({1}) OVERRIDING SYSTEM VALUE"
            " SELECT {1} FROM public.{0} TABLESAMPLE SYSTEM ({2}) LIMIT {3}"
        ).format(name, sql.SQL(", ").join(columns), sql.Literal(share), sql.Literal(ROWS))
    )
    connection.execute(sql.SQL("ANALYZE pg_temp.{}").format(name))
    return filled.rowcount


def _rows(connection: psycopg.Connection[Any], table: str) -> int:
    asked = "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = to_regclass(%s)"
    found = connection.execute(asked, [f'public."{table}"']).fetchone()
    return found[0] if found else 0


def _plan(connection: psycopg.Connection[Any], statement: str) -> dict[str, Any] | None:
    """As the server plans it, without carrying it out; None where it cannot."""
    try:
        with connection.transaction():
            asked = f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {statement}"
            found = connection.execute(asked.encode()).fetchone()
    except psycopg.Error:
        return None
    return found[0][0]["Plan"] if found else None


def _cost_on(connection: psycopg.Connection[Any], statement: str, table: str) -> float | None:
    plan = _plan(connection, statement)
    if plan is None or not any(node.get("Relation Name") == table for node in _nodes(plan)):
        return None
    return float(plan["Total Cost"])


def _look(connection: psycopg.Connection[Any], wanted: Candidate) -> float:
    """Milliseconds of a look for a row that is there, by the first column; its value goes nowhere."""
    column, table = sql.Identifier(wanted.columns[0]), sql.Identifier("pg_temp", wanted.table)
    some = sql.SQL("SELECT {0} FROM {1} WHERE {0} IS NOT NULL OFFSET (SELECT count({0}) / 2 FROM {1}) LIMIT 1")
    found = connection.execute(some.format(column, table)).fetchone()
    value = sql.Literal(found[0] if found else None)
    look = sql.SQL("EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM {1} WHERE {0} = {2}").format(column, table, value)
    timed = connection.execute(look).fetchone()
    return float(timed[0][0]["Execution Time"]) if timed else 0.0


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


def _columns(condition: str) -> tuple[str, ...]:
    """Of a plan's filter: those that are compared with a value by =, and one that is by < or >; none where the
    conditions are alternatives."""
    if " OR " in condition:
        return ()
    found = [match.groups() for one in condition.split(" AND ") if (match := CONDITION.match(one))]
    equal = [name for name, operator in found if operator == "="]
    ranged = [name for name, operator in found if operator != "=" and name not in equal]
    return tuple(dict.fromkeys([*equal, *ranged[:1]]))[:3]
