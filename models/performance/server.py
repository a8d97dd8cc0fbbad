"""The server as a whole: memory, connections, and transactions that stay open."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.performance.shapes import Server, Transaction

LONG = 60  # seconds
_SERVER = """
    SELECT current_setting('server_version') AS version, pg_database_size(current_database()) AS database_bytes,
        blks_hit::float / nullif(blks_hit + blks_read, 0) AS cache_hit,
        (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections,
        current_setting('max_connections')::int AS most_connections,
        (SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%') AS idle_in_transaction,
        stats_reset AS counted_since, deadlocks, temp_bytes AS temporary_bytes
    FROM pg_stat_database WHERE datname = current_database()"""
_TRANSACTIONS = """
    SELECT pid, coalesce(nullif(application_name, ''), 'a program without a name') AS program,
        coalesce(state, 'unknown') AS state, extract(epoch FROM clock_timestamp() - xact_start)::float AS seconds
    FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
        AND xact_start < clock_timestamp() - make_interval(secs => :long)
    ORDER BY xact_start LIMIT 20"""


def server(session: Session) -> Server:
    return Server(**session.execute(text(_SERVER)).mappings().one())


def long_transactions(session: Session) -> list[Transaction]:
    return [Transaction(**row) for row in session.execute(text(_TRANSACTIONS), {"long": LONG}).mappings()]
