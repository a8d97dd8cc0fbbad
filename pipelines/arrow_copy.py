"""Arrow record batches into a Postgres table by binary COPY, as fast as COPY gets.

Through ADBC's low level: its DBAPI layer imports pandas, which alone takes a second of every import from the
command line.
"""

import atexit
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import adbc_driver_postgresql
import pyarrow as pa
from adbc_driver_manager import (
    INGEST_OPTION_MODE,
    INGEST_OPTION_MODE_APPEND,
    INGEST_OPTION_TARGET_TABLE,
    AdbcConnection,
    AdbcDatabase,
    AdbcStatement,
    StatementOptions,
)

from models.tallies import TALLY


class _Known:
    """What ADBC knows of one database, and how many copies use it now."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.database: AdbcDatabase = adbc_driver_postgresql.connect(url)
        self.users = 0


_lock = Lock()
_last: _Known | None = None


@contextmanager
def known(url: str) -> Iterator[AdbcDatabase]:
    """What ADBC knows of the database: for it, it connects and reads every type and column, which takes longer than
    the copy of a small file. It holds no connection, and stays for the next copy, of which an import has three; it is
    released once another database is asked for. Raises adbc_driver_manager.Error.
    """
    global _last
    with _lock:
        if _last is None or _last.url != url:
            _release_last()
            _last = _Known(url)
        mine = _last
        mine.users += 1
    try:
        yield mine.database
    finally:
        with _lock:
            mine.users -= 1
            if mine is not _last and not mine.users:
                mine.database.close()


@atexit.register
def _release_last() -> None:
    """Who still uses it releases it afterwards."""
    global _last
    if _last is not None and not _last.users:
        _last.database.close()
    _last = None


def copy_in(url: str, table: str, rows: pa.RecordBatchReader, *, schema: str = "public") -> None:
    """Append all rows to the table, in one transaction; columns are matched by name.

    `url` is libpq's. Raises adbc_driver_manager.Error.
    """
    with (
        known(url) as database,
        AdbcConnection(database) as connection,
        AdbcStatement(connection) as statement,
    ):
        options = {
            INGEST_OPTION_TARGET_TABLE: table,
            INGEST_OPTION_MODE: INGEST_OPTION_MODE_APPEND,
            StatementOptions.INGEST_TARGET_DB_SCHEMA.value: schema,
        }
        statement.set_options(**options)
        began = time.perf_counter()
        columns = ", ".join(f'"{name}"' for name in rows.schema.names)
        statement.bind_stream(rows.__arrow_c_stream__())  # type: ignore[no-untyped-call]  # pyarrow leaves it untyped
        count = statement.execute_update()
        if (tally := TALLY.get()) is not None:  # in the driver's own words, as the server's statistics have it
            sent = f'COPY "{schema}" . "{table}" ({columns}) FROM STDIN WITH (FORMAT binary)'
            tally.add(sent, time.perf_counter() - began, count)


def copy_out(url: str, query: str) -> pa.Table:
    """What the query gives, whole, in memory. `url` is libpq's. Raises adbc_driver_manager.Error."""
    with (
        known(url) as database,
        AdbcConnection(database) as connection,
        AdbcStatement(connection) as statement,
    ):
        statement.set_sql_query(query)
        found, _ = statement.execute_query()
        return pa.RecordBatchReader.from_stream(found).read_all()
