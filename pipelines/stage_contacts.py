"""Stage: from the raw cells of an opened file to typed rows in Postgres, and the account of those that cannot be.

One narrow pass decides which rows are rejected and which repeat each other; one wide pass types the others and streams
them by binary COPY. Neither holds the file in memory.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from duckdb.func import FunctionNullHandling

from models import import_rejects
from models.contacts import emails, staging
from models.fields import Kind
from models.imports import MatchRule
from pipelines import row_rules, typed_rows
from pipelines.arrow_copy import copy_in
from pipelines.contact_files.store import NO_FOREIGN_CODE
from pipelines.repeated_rows import NAME, mark_repeated
from pipelines.row_rules import quoted
from pipelines.typed_rows import Source

EXPLAINED_AT_ONCE = 10_000
BATCH_ROWS = 4_096  # what is encoded next is still in the processor's cache: with 20,000 it takes a seventh longer


@dataclass(frozen=True)
class Staged:
    """Counts of the rows of a file: `good` are in the staging table; the others have their reasons in the store.
    `undated` are notes of rows without a clear moment: {"header", "reason", "count", "first_line", "example"}."""

    good: int
    rejected: int
    duplicates: int
    undated: tuple[dict[str, Any], ...] = ()


def connect(store: Path, *, memory_limit: str, threads: int) -> duckdb.DuckDBPyConnection:
    """The opened file's store, bounded in memory."""
    connection = duckdb.connect(
        str(store), config={"memory_limit": memory_limit, "threads": threads, **NO_FOREIGN_CODE}
    )
    connection.execute("SET enable_progress_bar = false")
    return connection


def stage(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    *,
    import_id: int,
    match: MatchRule,
    owners: Sequence[tuple[str, str]],
    database_url: str,
    begun: Callable[[int], None] = lambda good: None,
) -> Staged:
    """Fill the import's staging table, which exists and is empty; `owners` are the (e-mail, name) of users.

    `begun` is called with their number once it is known which rows come in, and before the first of them does.
    Leaves the tables `rejected(line, header, value, reason)` and `repeated(line, of)` in the store.
    """
    _load_owners(connection, owners)
    dates = source.fields.get("last_raised_at")
    order = row_rules.day_first(connection, source.column(dates)) if dates else None
    row_rules.register(connection, source.mapped, day_first=order)
    if source.is_wide:
        connection.create_function(
            "leftover_members",
            typed_rows.leftover_members(source),
            ["VARCHAR[]"],
            "VARCHAR",
            null_handling=FunctionNullHandling.SPECIAL,
        )
    if source.extra:
        connection.create_function(
            "extra_members",
            typed_rows.extra_members,
            ["VARCHAR"],
            "VARCHAR",
            null_handling=FunctionNullHandling.SPECIAL,
        )
    if source.dated_by:
        row_rules.register_moments(
            connection, day_first=row_rules.day_first(connection, source.column(source.dated_by))
        )
    _judge(connection, source)
    # Rows that nothing identifies are the same whenever they were changed.
    mark_repeated(connection, match, typed=partial(typed_rows.rows, replace(source, dated_by=None)))
    staged = counts(connection)
    begun(staged.good)
    _copy(connection, source, import_id, database_url)
    return replace(staged, undated=_undated(connection, source))


def _undated(connection: duckdb.DuckDBPyConnection, source: Source) -> tuple[dict[str, Any], ...]:
    if not source.dated_by:
        return ()
    text = row_rules.meaning("text", Kind.DATE)
    trimmed = f"SELECT line, {row_rules.trimmed(source.column(source.dated_by))} AS text FROM raw"
    [(count, line, example)] = connection.execute(
        f"""SELECT count(*), min(line), arg_min(text, line) FILTER (text IS NOT NULL)
        FROM (SELECT line, {text} AS text FROM ({trimmed}) WHERE line NOT IN (SELECT line FROM left_out))
        WHERE {row_rules.moment("text")} IS NULL"""
    ).fetchall()
    reason = "no clear date: the row is taken to be as new as the file"
    note = {"header": source.dated_by, "reason": reason, "count": count, "first_line": line, "example": example}
    return (note,) if count else ()


def counts(connection: duckdb.DuckDBPyConnection) -> Staged:
    """What `stage` made of the file."""
    return Staged(
        good=_count(connection, "raw") - _count(connection, "left_out"),
        rejected=_count(connection, "rejected") + _count(connection, "unreadable"),
        duplicates=_count(connection, "repeated"),
    )


@dataclass(frozen=True)
class LeftOut:
    """A staged row that the plan leaves out: `kind` as in import_rejects, and the contacts or line that it means."""

    line: int
    kind: str
    reason: str
    contacts: Sequence[int] = ()
    other_line: int | None = None


def leave_out(connection: duckdb.DuckDBPyConnection, left_out: Sequence[LeftOut]) -> None:
    """Note what the plan leaves out, for `rejects` and `reasons`."""
    names = ("line", "kind", "reason", "contacts", "other")
    planned = [
        (str(one.line), one.kind, one.reason, ",".join(map(str, one.contacts)), str(one.other_line or ""))
        for one in left_out
    ]
    _append(connection, "CREATE OR REPLACE TEMPORARY TABLE planned AS", names, planned)


def reasons(connection: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[str, int]]]:
    """Kind (rejected | duplicate) -> (reason in general, rows), the commonest first."""
    connection.execute(
        f"""CREATE OR REPLACE TEMPORARY TABLE common AS
        SELECT kind, {_general()} AS general, count(*) AS number,
               row_number() OVER (PARTITION BY kind ORDER BY count(*) DESC, general) - 1 AS place
        FROM ({_REFUSED} UNION ALL SELECT 'rejected', line, NULL, NULL, reason, NULL, NULL FROM unreadable)
        GROUP BY 1, 2 QUALIFY place < {import_rejects.MOST_REASONS}"""
    )
    counted = connection.execute("SELECT kind, general, number FROM common ORDER BY place").fetchall()
    return {kind: [(why, rows) for other, why, rows in counted if other == kind] for kind in import_rejects.KINDS}


def _general() -> str:
    general = "reason"
    for pattern, shown in import_rejects.GENERAL:
        general = f"regexp_replace({general}, {quoted(pattern)}, {quoted(shown)}, 'g')"
    return general


# What is not imported and has cells.
_REFUSED = """SELECT 'rejected' AS kind, line, header, value, reason, NULL::BIGINT[] AS contacts,
           NULL::BIGINT AS other_line
    FROM rejected
    UNION ALL
    SELECT 'duplicate', line, NULL, NULL, 'Line ' || repeated.of || ' of the file means the same contact.', NULL,
           repeated.of
    FROM repeated
    UNION ALL
    SELECT kind, line::BIGINT, NULL, NULL, reason, string_split(nullif(contacts, ''), ',')::BIGINT[],
           nullif(other, '')::BIGINT
    FROM planned"""


def rejects(connection: duckdb.DuckDBPyConnection, import_id: int, source: Source) -> pa.RecordBatchReader:
    """The rows of import_rejects: what could not be read, was rejected or repeated here, or left out by the plan; after
    `reasons`."""
    cells = ", ".join(source.column(header) for header in source.headers)
    columns = "kind, line, header, value, reason, contacts, other_line"
    reader: pa.RecordBatchReader = connection.sql(
        f"""SELECT {import_id}::INTEGER AS import_id, refused.*, place::SMALLINT AS reason_number
        FROM (
            SELECT 'rejected' AS kind, line, NULL AS header, NULL AS value, reason, NULL::BIGINT[] AS contacts,
                   NULL::BIGINT AS other_line, to_json([raw])::VARCHAR AS cells
            FROM unreadable
            UNION ALL
            SELECT {columns}, to_json([{cells}])::VARCHAR FROM ({_REFUSED}) JOIN raw USING (line)
        ) refused LEFT JOIN common ON common.kind = refused.kind AND common.general = {_general()}"""
    ).to_arrow_reader(BATCH_ROWS)
    return reader


def _load_owners(connection: duckdb.DuckDBPyConnection, owners: Sequence[tuple[str, str]]) -> None:
    keys = [(key.lower(), email.lower()) for email, name in owners for key in (email, name)]
    _append(connection, "CREATE OR REPLACE TABLE owner_keys AS", ("key", "email"), keys)
    # A name that two people share names nobody.
    connection.execute(
        """CREATE OR REPLACE TABLE owners AS
           SELECT key, min(email) AS email FROM owner_keys GROUP BY key HAVING count(DISTINCT email) = 1"""
    )


def _judge(connection: duckdb.DuckDBPyConnection, source: Source) -> None:
    """Make `keys`, what rows are recognised by, in small letters where capitals do not count, and `rejected`."""
    names = [name for name in staging.KEYS if name in source.mapped]
    bad = "CASE WHEN v_email IS NULL THEN t_email END" if "email" in names else "NULL::VARCHAR"
    columns = [f"v_{name} AS {name}" if name in names else f"NULL::VARCHAR AS {name}" for name in staging.KEYS]
    rows = typed_rows.values(source, names) if names else "SELECT line FROM raw"
    connection.execute(
        f"""CREATE OR REPLACE TEMPORARY TABLE keys AS
        SELECT line, contact_id, email, bad_email, {NAME} AS name, company IS NOT NULL AS has_company,
               coalesce(lower(company), '') AS company, coalesce(lower(website), '') AS website,
               lower(person_linkedin_url) AS person_linkedin_url
        FROM (SELECT line, {bad} AS bad_email, {", ".join(columns)} FROM ({rows}))"""
    )
    connection.execute(
        """CREATE OR REPLACE TABLE rejected AS
        SELECT line, NULL::VARCHAR AS header, bad_email AS value, NULL::VARCHAR AS reason
        FROM keys WHERE bad_email IS NOT NULL
        UNION ALL
        SELECT line, NULL, NULL, 'The row has neither a name nor an e-mail nor a company.'
        FROM keys WHERE email IS NULL AND bad_email IS NULL AND name IS NULL AND NOT has_company"""
    )
    connection.execute("DELETE FROM keys WHERE line IN (SELECT line FROM rejected)")
    _explain_emails(connection, source.fields.get("email"))


def _explain_emails(connection: duckdb.DuckDBPyConnection, header: str | None) -> None:
    connection.execute("CREATE OR REPLACE TEMPORARY TABLE explained (value VARCHAR, problem VARCHAR)")
    odd = connection.cursor().execute("SELECT DISTINCT value FROM rejected WHERE reason IS NULL")
    while texts := odd.fetchmany(EXPLAINED_AT_ONCE):
        explained = [
            (text, emails.problem(emails.normalised(text)) or "its first address is none") for (text,) in texts
        ]
        _append(connection, "INSERT INTO explained", ("value", "problem"), explained)
    connection.execute(
        """UPDATE rejected
        SET header = $header, reason = '“' || left(e.value, 200) || '” is no e-mail address: ' || e.problem || '.'
        FROM explained e WHERE rejected.reason IS NULL AND e.value = rejected.value""",
        {"header": header},
    )


def _append(
    connection: duckdb.DuckDBPyConnection, into: str, names: tuple[str, ...], rows: Sequence[tuple[str, ...]]
) -> None:
    """Many text rows at once: executemany takes 300 microseconds for each, and pyarrow would import pandas."""
    columns = {name: [row[place] for row in rows] for place, name in enumerate(names)}
    listed = ", ".join(f"unnest(${name}::VARCHAR[]) AS {name}" for name in names)
    connection.execute(f"{into} SELECT {listed}", columns)


def _copy(connection: duckdb.DuckDBPyConnection, source: Source, import_id: int, database_url: str) -> None:
    query = f"SELECT * FROM ({typed_rows.rows(source)}) WHERE line NOT IN (SELECT line FROM left_out)"
    reader = connection.sql(query).to_arrow_reader(BATCH_ROWS)
    copy_in(database_url, staging.rows_table(import_id), reader, schema=staging.SCHEMA)


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0])
