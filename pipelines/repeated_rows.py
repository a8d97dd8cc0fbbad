"""Rows of one file that mean the same contact: matched with each other by the rule that matches them with contacts.

Of a group the first row is imported and the others are its duplicates; a row with a name stands before one without.
"""

from collections.abc import Callable

import duckdb

from models.imports import MatchRule

NAME = "nullif(lower(concat_ws(' ', first_name, last_name)), '')"
# Rule -> what rows must share; NULL in the first of them takes a row out. In the order of models.contacts.matching.
EXTERNAL = ("contact_id",)
SAME_NAME = ("CASE WHEN name IS NOT NULL THEN email END", "name")
NAMELESS = ("CASE WHEN name IS NULL THEN email END", "company", "website")
LINKEDIN = ("person_linkedin_url",)
SHARED_KEYS = {
    MatchRule.AUTO: (EXTERNAL, SAME_NAME, NAMELESS, LINKEDIN),
    MatchRule.EMAIL: (("email",),),
    MatchRule.EXTERNAL: (EXTERNAL,),
    MatchRule.LINKEDIN: (LINKEDIN,),
    MatchRule.NONE: (),
}


def mark_repeated(connection: duckdb.DuckDBPyConnection, match: MatchRule, *, typed: Callable[[str], str]) -> None:
    """Make `repeated(line, of)` from `keys`, and with `rejected` `left_out(line)`: the lines that are not staged.

    `typed` gives the SELECT of the staged form of a table's rows: without any key, rows are the same where it is.
    """
    connection.execute("CREATE OR REPLACE TABLE repeated (line BIGINT, of BIGINT)")
    _link_by_keys(connection, match)
    if match is MatchRule.AUTO:
        _link_half_named(connection)
        _link_identical(connection, typed)
    connection.execute(
        """CREATE OR REPLACE TABLE left_out AS
        SELECT line FROM rejected UNION ALL SELECT line FROM repeated"""
    )
    connection.execute("DROP TABLE keys")  # as large as all the names and addresses: the memory is needed next


def _link_by_keys(connection: duckdb.DuckDBPyConnection, match: MatchRule) -> None:
    """Each row to the first one that shares a key with it; the stronger rule decides."""
    links = []
    for strength, keys in enumerate(SHARED_KEYS[match]):
        named = ", ".join(f"{key} AS k{place}" for place, key in enumerate(keys))
        shared = ", ".join(f"k{place}" for place in range(len(keys)))
        links.append(
            f"""SELECT line, first, {strength} AS strength
            FROM (SELECT line, {named} FROM keys)
            JOIN (SELECT {shared}, min(line) AS first FROM (SELECT line, {named} FROM keys)
                  WHERE k0 IS NOT NULL GROUP BY {shared} HAVING count(*) > 1) USING ({shared})
            WHERE first < line"""
        )
    if links:
        connection.execute(
            f"""INSERT INTO repeated
            SELECT line, arg_min(first, strength) FROM ({" UNION ALL ".join(links)}) GROUP BY line"""
        )
        _follow_chains(connection)


def _follow_chains(connection: duckdb.DuckDBPyConnection) -> None:
    """Point every duplicate at a row that is none itself. Ends: a link always leads to an earlier row, or by name."""
    while connection.execute("SELECT 1 FROM repeated a JOIN repeated b ON a.of = b.line LIMIT 1").fetchall():
        connection.execute("UPDATE repeated SET of = b.of FROM repeated b WHERE repeated.of = b.line")


def _link_half_named(connection: duckdb.DuckDBPyConnection) -> None:
    """A row without a name belongs to the named row with its e-mail and no contradicting company, where it is one."""
    connection.execute(
        """INSERT INTO repeated
        WITH heads AS (SELECT * FROM keys WHERE email IS NOT NULL AND line NOT IN (SELECT line FROM repeated)),
        bare AS (SELECT * FROM heads WHERE name IS NULL),
        -- Counted, not joined row by row: thousands may share one address on either side.
        named AS (SELECT email, company, count(*) AS number, min(line) AS first
                  FROM heads WHERE name IS NOT NULL GROUP BY email, company),
        of_address AS (SELECT email, sum(number) AS number, min(first) AS first FROM named GROUP BY email),
        fitting AS (
            SELECT line, number, first FROM bare JOIN of_address USING (email) WHERE company = ''
            UNION ALL
            SELECT line, number, first FROM bare JOIN named USING (email, company) WHERE company <> ''
            UNION ALL
            SELECT bare.line, number, first FROM bare JOIN named ON named.email = bare.email AND named.company = ''
            WHERE bare.company <> ''
        )
        SELECT line, min(first) FROM fitting GROUP BY line HAVING sum(number) = 1"""
    )
    _follow_chains(connection)


def _link_identical(connection: duckdb.DuckDBPyConnection, typed: Callable[[str], str]) -> None:
    """Rows that nothing identifies are the same when every value is, capitals aside."""
    keyless = "SELECT line FROM keys WHERE contact_id IS NULL AND email IS NULL AND person_linkedin_url IS NULL"
    if not connection.execute(f"{keyless} LIMIT 1").fetchall():
        return
    connection.execute(f"CREATE OR REPLACE TEMPORARY TABLE keyless AS SELECT * FROM raw WHERE line IN ({keyless})")
    connection.execute(
        f"""INSERT INTO repeated
        WITH numbered AS (
            SELECT line, min(line) OVER (PARTITION BY md5(lower(row(*COLUMNS(* EXCLUDE line))::VARCHAR))) AS first
            FROM ({typed("keyless")})
        )
        SELECT line, first FROM numbered WHERE first < line"""
    )
    connection.execute("DROP TABLE keyless")
