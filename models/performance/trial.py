"""Suggestions are tried before they are made: on a copy of some of the table, which is never there for anybody else.

The copy is a temporary table of the same name, columns and indexes, in a transaction that is rolled back: the statement
is planned as it stands (EXPLAIN GENERIC_PLAN: its values are not known, a page's number stands for its limit), finds
the copy first, and after a crash nothing is left.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import psycopg
from psycopg import sql

from models.database import Database, libpq_url

Plan = dict[str, Any]  # a node of EXPLAIN (FORMAT JSON), with those below it
ROWS = 50_000  # of a copy
PATIENCE = "20s"  # of the server, for each statement
WORTH = 0.7  # of the cost before, at most
LEAST_ROWS = 5_000  # of a table whose scan an index is looked for
CONDITION = re.compile(r"\(*(?:\w+\.)?(\w+)\)*(?:::[\w ]+)?\)* (=|<=?|>=?|~~\*?) \(*(?:\$\d+|')")
SORT_KEY = re.compile(r"(?:\w+\.)?(\w+)((?: DESC)?(?: NULLS (?:FIRST|LAST))?)")
LIMIT = re.compile(r"\bLIMIT \$(\d+)", re.IGNORECASE)
PAGE = (
    50  # rows: what LIMIT $1 is planned with, since the planner takes a tenth of the table for a number it is not told
)
WIDEST = 3  # columns of an index
LOOKS = 3  # of which the quickest counts: the first reads what the others find


class Way(StrEnum):
    """What the index is for."""

    VALUES = "values"
    ORDER = "order"
    PATTERN = "pattern"


@dataclass(frozen=True)
class Candidate:
    """An index that a scan of the whole table would not need to be without. `columns` are those of = first, each as
    CREATE INDEX has it: “added DESC”."""

    table: str
    columns: tuple[str, ...]
    way: Way = Way.VALUES

    @property
    def subject(self) -> str:
        return f"{self.table} {self.how}"

    @property
    def how(self) -> str:
        """What stands in CREATE INDEX behind the table."""
        if self.way is Way.PATTERN:
            return f"USING gin ({self.columns[0]} gin_trgm_ops)"
        return f"({', '.join(self.columns)})"

    @property
    def sql(self) -> str:
        return f"CREATE INDEX CONCURRENTLY ON {self.subject}"


@dataclass(frozen=True)
class Look:
    """With a value that some row has: the planner's cost, and milliseconds."""

    cost: float
    ms: float


@dataclass(frozen=True)
class Tried:
    """What the planner reckons for the statement, and a look of that way, before and after."""

    way: Way
    rows: int
    cost_before: float
    cost_after: float
    look_before: Look
    look_after: Look

    @property
    def holds(self) -> bool:
        """Both have to: for the statement the planner knows no values, and one that most rows have needs no index."""
        return self.cost_after <= WORTH * self.cost_before and self.look_after.cost <= WORTH * self.look_before.cost

    @property
    def sentence(self) -> str:
        looked = {
            Way.VALUES: "looking for one value",
            Way.ORDER: f"reading the first {PAGE} rows",
            Way.PATTERN: "looking for a part of a text",
        }[self.way]
        return (
            f"On a copy of {self.rows:,} rows the statement costs {self.cost_after:,.0f} instead of "
            f"{self.cost_before:,.0f}, and {looked} took {self.look_after.ms:.2f} ms instead of "
            f"{self.look_before.ms:.2f} ms."
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
        for node, above in _nodes(plan) if plan else ():
            if node["Node Type"] != "Seq Scan" or _rows(connection, node["Relation Name"]) < LEAST_ROWS:
                continue
            if found := _of_scan(node, above):
                return found
    return None


def _of_scan(scan: Plan, above: tuple[Plan, ...]) -> Candidate | None:
    table, condition = scan["Relation Name"], scan.get("Filter", "")
    equal, ranged, patterns = _compared(condition)
    if order := _order(above):
        return Candidate(table, tuple([*equal, *order][:WIDEST]), Way.ORDER)
    if columns := [*equal, *ranged[:1]]:
        return Candidate(table, tuple(columns[:WIDEST]))
    return Candidate(table, (patterns[0],), Way.PATTERN) if patterns else None


def try_index(statement: str, wanted: Candidate) -> Tried | None:
    """None where it could not be tried, such as a table that this role may not copy."""
    with laboratory() as connection:
        try:
            rows = _copy(connection, wanted.table)
            before, look_before = _plan(connection, statement), _look(connection, wanted)
            if before is None or look_before is None:
                return None
            table = sql.Identifier("pg_temp", wanted.table)
            # What it is made of comes from the server's own plan, already quoted where it has to be.
            connection.execute(sql.SQL("CREATE INDEX ON {} {}").format(table, sql.SQL(wanted.how)))
            connection.execute(sql.SQL("ANALYZE {}").format(table))
            after, look_after = _plan(connection, statement), _look(connection, wanted)
        except psycopg.Error:
            return None
    if after is None or look_after is None:
        return None
    return Tried(wanted.way, rows, before["Total Cost"], after["Total Cost"], look_before, look_after)


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


def _plan(connection: psycopg.Connection[Any], statement: str) -> Plan | None:
    """As the server plans it, without carrying it out; None where it cannot."""
    try:
        with connection.transaction():
            asked = f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {paged(statement)}"
            found = connection.execute(asked.encode()).fetchone()
    except psycopg.Error:
        return None
    return found[0][0]["Plan"] if found else None


def paged(statement: str) -> str:
    """With a page's number where it has LIMIT $1, and the parameters behind that one moved up."""
    found = LIMIT.search(statement)
    if found is None:
        return statement
    left_out = int(found[1])
    if len(re.findall(rf"\${left_out}\b", statement)) > 1:
        return statement

    def moved(one: re.Match[str]) -> str:
        number = int(one[1])
        return f"${number - (number > left_out)}"

    before, after = (re.sub(r"\$(\d+)", moved, one) for one in (statement[: found.start()], statement[found.end() :]))
    return f"{before}LIMIT {PAGE}{after}"


def _cost_on(connection: psycopg.Connection[Any], statement: str, table: str) -> float | None:
    plan = _plan(connection, statement)
    if plan is None or not any(node.get("Relation Name") == table for node, _ in _nodes(plan)):
        return None
    return float(plan["Total Cost"])


def _look(connection: psycopg.Connection[Any], wanted: Candidate) -> Look | None:
    """A look of that way, for a row that is there; its value goes nowhere. None where no row has one."""
    table = sql.Identifier("pg_temp", wanted.table)
    if wanted.way is Way.ORDER:
        order = sql.SQL(", ".join(wanted.columns))
        look = sql.SQL("SELECT * FROM {} ORDER BY {} LIMIT {}").format(table, order, PAGE)
    else:
        column = sql.SQL(wanted.columns[0])
        some = sql.SQL("SELECT {0} FROM {1} WHERE {0} IS NOT NULL OFFSET (SELECT count({0}) / 2 FROM {1}) LIMIT 1")
        found = connection.execute(some.format(column, table)).fetchone()
        if found is None:
            return None
        value = found[0]
        if wanted.way is Way.PATTERN:
            look = sql.SQL("SELECT * FROM {} WHERE {} ILIKE {}").format(table, column, f"%{str(value)[1:9]}%")
        else:
            look = sql.SQL("SELECT * FROM {} WHERE {} = {}").format(table, column, value)
    asked = sql.SQL("EXPLAIN (ANALYZE, FORMAT JSON) {}").format(look)
    made = [connection.execute(asked).fetchall()[0][0][0] for _ in range(LOOKS)]
    return Look(made[0]["Plan"]["Total Cost"], min(float(one["Execution Time"]) for one in made))


def _nodes(plan: Plan, above: tuple[Plan, ...] = ()) -> Iterator[tuple[Plan, tuple[Plan, ...]]]:
    """Each with those above it, the nearest first."""
    yield plan, above
    for part in plan.get("Plans", ()):
        yield from _nodes(part, (plan, *above))


def _compared(condition: str) -> tuple[list[str], list[str], list[str]]:
    """The columns that a plan's filter compares with a value: by =, by < or >, and by LIKE or ILIKE; none where the
    conditions are alternatives."""
    if " OR " in condition:
        return [], [], []
    found = [match.groups() for one in condition.split(" AND ") if (match := CONDITION.match(one))]
    equal = list(dict.fromkeys(name for name, operator in found if operator == "="))
    ranged = [name for name, operator in found if operator[0] in "<>" and name not in equal]
    return equal, ranged, [name for name, operator in found if operator[0] == "~"]


def _order(above: tuple[Plan, ...]) -> list[str]:
    """Of what is sorted right after its scan, for its first rows: the columns, each with its direction; none where an
    expression is among them."""
    if not above or above[0]["Node Type"] != "Sort" or not any(one["Node Type"] == "Limit" for one in above):
        return []
    found = [SORT_KEY.fullmatch(one) for one in above[0]["Sort Key"]]
    return ["".join(one.groups()) for one in found if one] if all(found) else []
