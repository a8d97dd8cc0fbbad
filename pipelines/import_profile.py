"""The profile of an import: what its staged rows look like, column by column, in a few numbers that are kept.

How many rows have a value is counted over all of them. The rest is read from SAMPLED rows, which say as much of a
share as all do, to a third of a percent, and cost the same of a thousand rows and of a million. The size is bounded:
buckets, and the commonest values of fields that have few.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa
from sqlalchemy import text
from sqlalchemy.orm import Session

from models.contacts import staging
from models.contacts.table import FIELDS
from models.fields import Field, Kind
from models.free_mail import FREE_MAIL
from models.import_profiles import FEW_VALUES, LENGTHS, LONGEST, Columns
from pipelines.arrow_copy import copy_out
from pipelines.contact_files.store import NO_FOREIGN_CODE
from pipelines.row_rules import quoted

SAMPLED = 20_000
SEED = 360  # the same rows give the same profile
MOST_KNOWN = 200  # of a field's commonest values
MOST_DOMAINS = 30
DIGEST = 12  # hexadecimal digits; what many people share, a name, is kept as a digest only
SHORTEST_WORD = 3  # letters; shorter ones stand in an address by chance
COUNTED = (Kind.WHOLE, Kind.MONEY)


def made(url: str, import_id: int, mapped: Sequence[str], filled: Mapping[str, int]) -> Columns:
    """The profile of the rows in the import's staging table, of which `counted` says how many are `filled`; `url` is
    libpq's."""
    if not filled[""]:
        return {name: {"filled": 0, "sampled": 0, "different": 0} for name in mapped}
    if not mapped:
        return {}
    rows = copy_out(url, _sample(import_id, mapped, filled[""]))
    with duckdb.connect(config={"threads": 1, **NO_FOREIGN_CODE}) as connection:
        return _summed_up(connection, rows, mapped, filled)


def counted(session: Session, import_id: int, mapped: Sequence[str]) -> dict[str, int]:
    """By field how many rows have a value; under "" how many rows there are."""
    counts = ", ".join(["count(*)", *(f"count({name})" for name in mapped)])
    [row] = session.execute(text(f"SELECT {counts} FROM {_rows(import_id)}")).all()
    return dict(zip(["", *mapped], row, strict=True))


def _sample(import_id: int, mapped: Sequence[str], rows: int) -> str:
    """SELECT of some of the rows, every value as text."""
    chosen = f"TABLESAMPLE SYSTEM ({100 * SAMPLED / rows:.6f}) REPEATABLE ({SEED})" if rows > SAMPLED * 1.5 else ""
    read = ", ".join(f"{_as_text(FIELDS[name])} AS {name}" for name in mapped)
    return f"SELECT {read} FROM {_rows(import_id)} {chosen}"


def _as_text(one: Field) -> str:
    match one.kind:
        case Kind.LIST:
            return f"cardinality({one.name})::text"
        case Kind.DATE:
            return f"extract(year FROM {one.name})::text"
        case Kind.FLAG:
            return f"CASE WHEN {one.name} THEN 'yes' WHEN NOT {one.name} THEN 'no' END"
        case Kind.WHOLE | Kind.MONEY:
            return f"{one.name}::float8::text"
    return f"left({one.name}, {LONGEST})"


def _summed_up(
    connection: duckdb.DuckDBPyConnection, rows: pa.Table, mapped: Sequence[str], filled: Mapping[str, int]
) -> Columns:
    connection.register("sample", rows)
    # By value: each field's values are grouped once, and everything else is read from the groups.
    connection.execute(
        f"""CREATE TEMPORARY TABLE found AS
        SELECT name, value, count(*) AS number
        FROM (FROM sample UNPIVOT (value FOR name IN ({", ".join(mapped)}))) GROUP BY ALL"""
    )
    columns: Columns = {name: {"filled": filled[name], "sampled": 0, "different": 0} for name in mapped}
    sampled = connection.execute("SELECT name, sum(number)::BIGINT, count(*) FROM found GROUP BY name").fetchall()
    for name, number, different in sampled:
        columns[name] |= {"sampled": number, "different": different}
    _keep(columns, "shape", _shapes(connection, mapped))
    _keep(columns, "values", _values(connection, [name for name in mapped if FIELDS[name].drift.new is not None]))
    _keep(columns, "known", _known(connection, [name for name in mapped if FIELDS[name].drift.swapped is not None]))
    for name in mapped:
        if FIELDS[name].kind is Kind.EMAIL:
            columns[name] |= _domains(connection, name)
    for (holder, word), (both, held) in _held(connection, mapped).items():
        columns[holder].setdefault("holds", {})[word] = [both, held]
    return columns


def _keep(columns: Columns, part: str, found: list[tuple[str, Any, int]]) -> None:
    grouped: dict[str, list[list[Any]]] = defaultdict(list)
    for name, one, number in found:
        grouped[name].append([one, number])
    for name, pairs in grouped.items():
        columns[name][part] = pairs


def _shapes(connection: duckdb.DuckDBPyConnection, mapped: Sequence[str]) -> list[tuple[str, int, int]]:
    """(field, where the bucket begins, values in it): of texts by length, of numbers by half a power of ten, else by
    the number itself, a year or how many a list has."""
    looked_at = [name for name in mapped if FIELDS[name].drift.shape is not None]

    def of(chosen: Callable[[Kind], bool], bucket: str) -> str:
        names = _listed([name for name in looked_at if chosen(FIELDS[name].kind)])
        return f"SELECT name, {bucket} AS bucket, number FROM found WHERE name IN ({names})"

    lengths = "CASE " + " ".join(f"WHEN length(value) >= {one} THEN {one}" for one in reversed(LENGTHS)) + " ELSE 0 END"
    number = "value::DOUBLE"
    sizes = f"CASE WHEN {number} < 0 THEN -2 WHEN {number} < 1 THEN -1 ELSE floor(2 * log10({number}))::INTEGER END"
    itself = (Kind.DATE, Kind.LIST)
    return connection.execute(
        f"""SELECT name, bucket, sum(number)::BIGINT FROM (
            {of(lambda kind: kind not in (*COUNTED, *itself), lengths)}
            UNION ALL {of(lambda kind: kind in COUNTED, sizes)}
            UNION ALL {of(lambda kind: kind in itself, "least(value::INTEGER, 9999)")}
        ) GROUP BY ALL ORDER BY ALL"""
    ).fetchall()


def _values(connection: duckdb.DuckDBPyConnection, names: Sequence[str]) -> list[tuple[str, str, int]]:
    """All values of the fields that have few, the commonest first."""
    return connection.execute(
        f"""SELECT name, value, number FROM found WHERE name IN ({_listed(names)})
        QUALIFY count(*) OVER (PARTITION BY name) <= {FEW_VALUES} ORDER BY name, number DESC, value"""
    ).fetchall()


def _known(connection: duckdb.DuckDBPyConnection, names: Sequence[str]) -> list[tuple[str, str, int]]:
    """The digests of the commonest values that came at least twice: what comes once may not come again."""
    return connection.execute(
        f"""SELECT name, {digest("value")} AS one, sum(number)::BIGINT AS times FROM found
        WHERE name IN ({_listed(names)}) GROUP BY name, one HAVING times > 1
        QUALIFY row_number() OVER (PARTITION BY name ORDER BY times DESC, one) <= {MOST_KNOWN}
        ORDER BY name, times DESC, one"""
    ).fetchall()


def digest(value: str) -> str:
    """SQL, of DuckDB and Postgres alike, for what is kept of a value that many people share."""
    return f"substr(md5(lower({value})), 1, {DIGEST})"


def _domains(connection: duckdb.DuckDBPyConnection, name: str) -> dict[str, Any]:
    """The commonest domains of the addresses, and how many addresses are at a provider of free ones."""
    counted = connection.execute(
        f"""SELECT split_part(value, '@', -1) AS domain, sum(number)::BIGINT AS times FROM found
        WHERE name = '{name}' GROUP BY ALL ORDER BY times DESC, domain"""
    ).fetchall()
    free = sum(times for domain, times in counted if domain in FREE_MAIL)
    return {"domains": [[domain, times] for domain, times in counted[:MOST_DOMAINS]], "free": free}


def _held(connection: duckdb.DuckDBPyConnection, mapped: Sequence[str]) -> dict[tuple[str, str], tuple[int, int]]:
    """(holder, word) -> (rows that have both, those where the value of the one stands in that of the other)."""
    pairs = [
        (holder, word) for holder in mapped for word in FIELDS[holder].drift.holds if word in mapped and word != holder
    ]
    if not pairs:
        return {}
    holders, words = dict.fromkeys(holder for holder, _ in pairs), dict.fromkeys(word for _, word in pairs)
    plain = [f"{letters(one)} AS h_{one}" for one in holders] + [f"{word(one)} AS w_{one}" for one in words]
    counted = [
        part
        for holder, one in pairs
        for part in (f"count(*) FILTER ({both(holder, one)})", f"count(*) FILTER (contains(h_{holder}, w_{one}))")
    ]
    row = connection.execute(f"SELECT {', '.join(counted)} FROM (SELECT {', '.join(plain)} FROM sample)").fetchall()[0]
    return {pair: (row[2 * place], row[2 * place + 1]) for place, pair in enumerate(pairs)}


def both(holder: str, one: str) -> str:
    return f"h_{holder} IS NOT NULL AND w_{one} IS NOT NULL"


def letters(value: str) -> str:
    """SQL for the value in small letters and digits of ASCII alone."""
    return f"regexp_replace(lower(strip_accents({value})), '[^a-z0-9]', '', 'g')"


def word(name: str) -> str:
    """SQL for what of the value would stand in another one: of an address the host, else the first word; NULL where
    that is too short to tell anything."""
    if FIELDS[name].kind is Kind.URL:
        found = letters(f"regexp_extract({name}, '://(?:www[.])?([^/]*)', 1)")
    else:
        found = f"regexp_extract(lower(strip_accents({name})), '[a-z0-9]{{{SHORTEST_WORD},}}')"
    return f"CASE WHEN length({found}) >= {SHORTEST_WORD} THEN {found} END"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(quoted, names)) or "NULL"


def _rows(import_id: int) -> str:
    return f"{staging.SCHEMA}.{staging.rows_table(import_id)}"
