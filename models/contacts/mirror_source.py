"""What a mirror reads of the database: all contacts, or some of them, as one snapshot has them."""

from collections.abc import Collection, Iterator, Sequence

import adbc_driver_postgresql
import pyarrow as pa
from adbc_driver_manager import AdbcConnection, AdbcStatement
from psycopg import conninfo
from sqlalchemy import text
from sqlalchemy.orm import Session

from models.bounded_connection import noticing
from models.contacts import columnar
from models.contacts.columnar import RANGES, Columnar, Folds, columns, may_be_coded
from models.contacts.feed import Written
from models.database import Database, asked_in, libpq_url

PIECE = 100_000  # contacts that come in at once
FEW = 2000  # contacts that are read over the session's own connection; for more it is worth making another one
BLOCKS = 1000  # of the table, by which it is estimated how many contacts there are: 8 MB
SAMPLE = 200_000  # contacts by which it is decided what gets a dictionary
MOST_CODED = 3_000_000  # values of one dictionary, by an estimate
REPEATED = 4  # how often a value stands at least, on average
SHORT = 4000  # values, for which a dictionary is worth it however seldom they stand
GROWN = 2  # times of what was chosen by, after which it is chosen again: not at each contact beside the border
_BLOCKS = text("SELECT greatest(1, pg_relation_size('contacts') / current_setting('block_size')::int)")
# Where text is compared byte by byte, the order of a list is the same here.
_BYTEWISE = text(
    """SELECT pg_encoding_to_char(encoding) = 'UTF8' AND (datlocprovider = 'b'
        OR datlocprovider = 'c' AND datcollate IN ('C', 'POSIX', 'C.UTF-8', 'C.utf8'))
    FROM pg_database WHERE datname = current_database()"""
)
_BESIDE = text("SELECT pg_export_snapshot(), current_setting('statement_timeout')")
_SMALL = text("SELECT lower('ABCDEFGHIJKLMNOPQRSTUVWXYZ') = 'abcdefghijklmnopqrstuvwxyz'")


def is_bytewise(session: Session) -> bool:
    return bool(session.scalars(_BYTEWISE).one())


def has_usual_capitals(session: Session) -> bool:
    """Whether ASCII is written small as everywhere: Turkish has another i."""
    return bool(session.scalars(_SMALL).one())


def number(session: Session) -> int:
    """How many contacts there are: counted where their blocks are few, and else estimated by some of these. What the
    planner believes is old after a restore, or nothing at all."""
    percent = min(100.0, 100.0 * BLOCKS / session.scalars(_BLOCKS).one())
    counted = session.scalars(text(f"SELECT count(*) FROM {_sample(percent)}")).one()
    return int(counted * 100 / percent)


def _sample(percent: float) -> str:
    """Of whole blocks, always the same ones."""
    return "contacts" if percent == 100 else f"contacts TABLESAMPLE SYSTEM ({percent}) REPEATABLE (1)"


def coded(session: Session, total: int, but: Collection[str] = ()) -> frozenset[str]:
    """The columns that are worth a dictionary, of `total` contacts, by a sample; how many values there are in all is
    estimated from those that it has once and twice (Chao, "Nonparametric estimation of the number of classes in a
    population", 1984)."""
    found = set()
    percent = min(100.0, 100.0 * SAMPLE / max(1, total))
    source = _sample(percent)
    for one in columns(frozenset()):
        if not may_be_coded(one.kind) or one.name in but:
            continue
        row = session.execute(
            text(
                f"""SELECT count(*) AS values, coalesce(sum(times), 0) AS filled,
                    count(*) FILTER (WHERE times = 1) AS once, count(*) FILTER (WHERE times = 2) AS twice
                FROM (
                    SELECT count(*) AS times FROM {source} WHERE {one.name} IS NOT NULL GROUP BY {one.name}
                ) AS each"""
            )
        ).one()
        values = row.values + row.once**2 / (2 * max(1, row.twice)) * (percent < 100)
        filled = float(row.filled) * 100 / percent
        if values <= MOST_CODED and values * REPEATED <= max(filled, SHORT * REPEATED):
            found.add(one.name)
    return frozenset(found)


def outgrown(file: Columnar) -> dict[str, bool]:
    """The columns whose dictionaries are far longer than what was chosen for them when all contacts were read, and
    whether one is worth it all the same. For who writes."""
    found = {}
    for name, values in file.grown().items():
        is_worth_it = values <= GROWN * MOST_CODED and values * REPEATED <= GROWN * file.number()
        if values > GROWN * columnar.SMALL and not (is_worth_it and name in file.large):
            found[name] = is_worth_it
    return found


def all_contacts(session: Session, file: Columnar) -> Iterator[pa.Table]:
    """In pieces, as the session's snapshot has them. Raises adbc_driver_manager.Error."""
    return _beside(session, f"SELECT {file.selected()} FROM contacts", file.schema())


def ranges(session: Session, written: Written) -> Iterator[pa.Table]:
    """Of their ids, in pieces. Raises adbc_driver_manager.Error."""
    return _some(session, written, written.ranges, RANGES)


def those(session: Session, written: Written, file: Columnar) -> Iterator[pa.Table]:
    """What there still is of them, in pieces, as the session's snapshot has it. Raises adbc_driver_manager.Error."""
    among = f"""SELECT {file.selected()} FROM ({written.ranges}) AS wanted
        JOIN contacts ON id >= wanted.first AND id < wanted.after"""
    return _some(session, written, among, file.schema())


def _some(session: Session, written: Written, query: str, schema: pa.Schema) -> Iterator[pa.Table]:
    if written.number > FEW:
        return _beside(session, query, schema)
    return iter([pa.Table.from_pylist(asked_in(session, query, {}), schema)])


def folds(session: Session) -> Folds:
    def fold(texts: Sequence[str]) -> list[str]:
        in_order = text(
            "SELECT lower(one) FROM unnest(CAST(:texts AS text[])) WITH ORDINALITY AS t (one, n) ORDER BY n"
        )
        return list(session.scalars(in_order, {"texts": list(texts)}))

    return fold


def _beside(session: Session, query: str, schema: pa.Schema) -> Iterator[pa.Table]:
    """Over a connection of its own, on the session's snapshot and with its patience, some hundred thousand rows at
    once."""
    snapshot, patience = session.execute(_BESIDE).one()
    assert Database.url is not None
    url = libpq_url(Database.url)
    with (
        adbc_driver_postgresql.connect(conninfo.make_conninfo(url, **noticing(url))) as database,
        AdbcConnection(database) as connection,
        AdbcStatement(connection) as statement,
    ):
        for one in (
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            f"SET TRANSACTION SNAPSHOT '{snapshot}'",
            f"SET LOCAL statement_timeout = '{patience}'",
        ):
            statement.set_sql_query(one)
            statement.execute_update()
        statement.set_sql_query(query)
        found, _ = statement.execute_query()
        some: list[pa.RecordBatch] = []
        for batch in pa.RecordBatchReader.from_stream(found):
            some.append(batch)
            if sum(one.num_rows for one in some) >= PIECE:
                yield pa.Table.from_batches(some).cast(schema)
                some = []
        if some:
            yield pa.Table.from_batches(some).cast(schema)
