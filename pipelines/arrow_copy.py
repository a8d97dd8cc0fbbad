"""Arrow record batches into a Postgres table by binary COPY, as fast as COPY gets.

Through ADBC's low level: its DBAPI layer imports pandas, which alone takes a second of every import from the
command line.
"""

import adbc_driver_postgresql
import pyarrow as pa
from adbc_driver_manager import (
    INGEST_OPTION_MODE,
    INGEST_OPTION_MODE_APPEND,
    INGEST_OPTION_TARGET_TABLE,
    AdbcConnection,
    AdbcStatement,
    StatementOptions,
)


def copy_in(url: str, table: str, rows: pa.RecordBatchReader, *, schema: str = "public") -> None:
    """Append all rows to the table, in one transaction; columns are matched by name.

    `url` is libpq's. Raises adbc_driver_manager.Error.
    """
    with (
        adbc_driver_postgresql.connect(url) as database,
        AdbcConnection(database) as connection,
        AdbcStatement(connection) as statement,
    ):
        options = {
            INGEST_OPTION_TARGET_TABLE: table,
            INGEST_OPTION_MODE: INGEST_OPTION_MODE_APPEND,
            StatementOptions.INGEST_TARGET_DB_SCHEMA.value: schema,
        }
        statement.set_options(**options)
        statement.bind_stream(rows.__arrow_c_stream__())  # type: ignore[no-untyped-call]  # pyarrow leaves it untyped
        statement.execute_update()


def copy_out(url: str, query: str) -> pa.Table:
    """What the query gives, whole, in memory. `url` is libpq's. Raises adbc_driver_manager.Error."""
    with (
        adbc_driver_postgresql.connect(url) as database,
        AdbcConnection(database) as connection,
        AdbcStatement(connection) as statement,
    ):
        statement.set_sql_query(query)
        found, _ = statement.execute_query()
        return pa.RecordBatchReader.from_stream(found).read_all()
