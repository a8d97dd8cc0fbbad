"""What a database holds, so that two can be compared: rows and a hash of each table, and the shape around them.

The hash is a sum over the rows of Postgres' own hash of the whole row, mixed once more: unmixed it is linear, and two
rows that swapped a value would sum up to the same. It does not depend on the order, and costs less than a COPY.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql
from psycopg.errors import UndefinedFunction
from psycopg.rows import dict_row

MIX = 360
# Of extensions neither the tables nor the functions: they come with the extension.
_OURS = """n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%%'
    AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.objid = c.oid AND e.deptype = 'e')"""
TABLES = f"""SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND {_OURS} ORDER BY pg_table_size(c.oid) DESC, 1, 2"""
SHAPE = {
    "constraints": f"""SELECT n.nspname || '.' || c.relname || ': ' || k.conname || ' ' || pg_get_constraintdef(k.oid)
        FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE {_OURS} ORDER BY 1""",
    "indexes": f"""SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {_OURS} AND c.relkind = 'r' AND i.indisvalid ORDER BY 1""",
    "triggers": f"""SELECT pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {_OURS} AND NOT t.tgisinternal ORDER BY 1""",
    "functions": f"""SELECT c.oid::regprocedure || ' ' || md5(pg_get_functiondef(c.oid)) FROM pg_proc c
        JOIN pg_namespace n ON n.oid = c.pronamespace WHERE {_OURS} AND c.prokind IN ('f', 'p') ORDER BY 1""",
    "grants": f"""SELECT n.nspname || '.' || c.relname || ': ' || g.privilege_type || ' to '
            || coalesce(r.rolname, 'everybody')
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) g
        LEFT JOIN pg_roles r ON r.oid = g.grantee
        WHERE {_OURS} AND c.relkind IN ('r', 'v', 'S') AND g.grantee <> c.relowner ORDER BY 1""",
}
ROLES = f"""SELECT DISTINCT r.rolname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
    aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) g, pg_roles r
    WHERE r.oid IN (g.grantee, c.relowner) AND {_OURS} AND c.relkind IN ('r', 'v', 'S') ORDER BY 1"""
# No snapshot holds them: they go on whatever a transaction comes to.
SEQUENCES = """SELECT schemaname || '.' || sequencename, last_value FROM pg_sequences
    WHERE last_value IS NOT NULL AND increment_by > 0 ORDER BY 1"""
NEWEST_IMPORT = """SELECT id, state, file_name, rows, created, updated, unchanged, duplicates, rejected
    FROM public.imports ORDER BY id DESC LIMIT 1"""


@dataclass(frozen=True)
class Content:
    tables: dict[str, tuple[int, str]]
    shape: dict[str, list[str]]
    newest_import: dict[str, Any] | None
    roles: list[str]
    sequences: dict[str, int] = field(default_factory=dict)


def sequences(url: str) -> dict[str, int]:
    """The last number that each sequence gave. Who reads them before a dump has none that the dump is behind. Raises
    psycopg.Error."""
    with psycopg.connect(url) as connection:
        return dict(connection.execute(SEQUENCES).fetchall())


def read(url: str, *, snapshot: str | None = None, at_once: int = 1) -> Content:
    """Of the database at `url`, as a snapshot that another session exported shows it. Raises psycopg.Error."""
    given = sequences(url)
    with _connected(url, snapshot) as connection:
        names = [(str(schema), str(table)) for schema, table in connection.execute(TABLES).fetchall()]
        shape = {what: [row[0] for row in connection.execute(asked).fetchall()] for what, asked in SHAPE.items()}
        roles = [row[0] for row in connection.execute(ROLES).fetchall()]
        newest = connection.cursor(row_factory=dict_row).execute(NEWEST_IMPORT).fetchone()
    with ThreadPoolExecutor(at_once) as several:
        shares = [names[share::at_once] for share in range(at_once)]
        found = several.map(lambda share: _tables(url, snapshot, share), shares)
        tables = {name: numbers for one in found for name, numbers in one.items()}
    return Content(dict(sorted(tables.items())), shape, newest, roles, given)


def differences(was: Content, now: Content) -> list[str]:
    """What of `was` is otherwise `now`, as sentences."""
    told = []
    for name in sorted(was.tables.keys() | now.tables.keys()):
        one, other = was.tables.get(name), now.tables.get(name)
        if one is None or other is None:
            told.append(f"The table {name} is {'missing' if other is None else 'there, and was not'}.")
        elif one[0] != other[0]:
            told.append(f"The table {name} has {other[0]:,} rows instead of {one[0]:,}.")
        elif one[1] != other[1]:
            told.append(f"Values in the table {name} are others.")
    for what, lines in was.shape.items():
        if gone := sorted(set(lines) - set(now.shape[what])):
            told.append(f"{len(gone):,} of {len(lines):,} {what} are missing, such as {gone[0][:200]}.")
        if new := sorted(set(now.shape[what]) - set(lines)):
            told.append(f"There are other {what} than before, such as {new[0][:200]}.")
    for name, last in was.sequences.items():
        if (there := now.sequences.get(name, 0)) < last:
            told.append(f"The sequence {name} is behind: it gave {last:,}, and would go on after {there:,}.")
    if was.newest_import != now.newest_import:
        told.append("The newest import is another one, or has other numbers.")
    return told


def _tables(url: str, snapshot: str | None, names: list[tuple[str, str]]) -> dict[str, tuple[int, str]]:
    with _connected(url, snapshot) as connection:
        return {f"{schema}.{table}": _numbers(connection, schema, table) for schema, table in names}


def _numbers(connection: psycopg.Connection[Any], schema: str, table: str) -> tuple[int, str]:
    row_hash = sql.SQL("hash_record_extended(t, {})").format(MIX)
    text_hash = sql.SQL("hashtextextended(t::text, {})").format(MIX)  # for types that have no hash, such as json
    for one in (row_hash, text_hash):
        asked = sql.SQL("SELECT count(*), coalesce(sum(hashint8extended({}, {})), 0) FROM {} t").format(
            one, MIX, sql.Identifier(schema, table)
        )
        try:
            with connection.transaction():
                count, total = connection.execute(asked).fetchone() or (0, 0)
        except UndefinedFunction:
            continue
        return int(count), str(total)
    raise AssertionError(table)


def _connected(url: str, snapshot: str | None) -> psycopg.Connection[Any]:
    connection = psycopg.connect(url)
    connection.isolation_level, connection.read_only = psycopg.IsolationLevel.REPEATABLE_READ, True
    if snapshot is not None:
        connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(snapshot))
    connection.execute("SET LOCAL statement_timeout = 0")
    connection.execute("SET LOCAL search_path = ''")
    return connection
