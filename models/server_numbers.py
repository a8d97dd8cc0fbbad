"""What a monitoring asks of the database every few seconds: numbers of the server, imports, flows and mails.

Each question takes milliseconds whatever is stored: none counts contacts, and what has grown for years is looked at
through the index of what is under way. A worker has no HTTP of its own: what it does stands here.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import text

from models.database import engine, reading
from models.mails import TRIES

LATELY = timedelta(hours=1)  # in which runs that ended are counted


@dataclass(frozen=True)
class Numbers:
    """None and empty where the server does not tell. Seconds and bytes; `lags` by the name of the replica."""

    connections: dict[str, int]  # by what they do
    connections_most: int
    bytes: int
    oldest_transaction: float
    lags: dict[str, float]
    imports: dict[str, int]  # by state
    import_rows: dict[str, int]
    imports_waiting: int
    imports_oldest_waiting: float
    runs: dict[tuple[str, str], int]  # by flow and state, of what is under way
    runs_oldest_waiting: float
    runs_ended: dict[tuple[str, str], int]  # LATELY
    mails_waiting: int
    mails_oldest_waiting: float
    mails_given_up: int


@dataclass(frozen=True)
class Pool:
    """Of this process: connections that are in use, and how many may be."""

    used: int
    most: int


def pool() -> Pool:
    of: Any = engine().pool
    return Pool(of.checkedout(), of.size() + of._max_overflow)


def read() -> Numbers:
    """Raises SQLAlchemy's OperationalError where the database does not answer."""
    with reading() as session:
        server = session.execute(text(_SERVER)).one()
        waiting = session.execute(text(_IMPORTS_WAITING)).one()
        mails = session.execute(text(_MAILS), {"tries": TRIES}).one()
        imports = session.execute(text(_IMPORTS)).all()
        under_way = session.execute(text(_RUNS)).all()
        return Numbers(
            connections={row.state: row.connections for row in session.execute(text(_CONNECTIONS))},
            connections_most=server.most,
            bytes=server.bytes,
            oldest_transaction=server.oldest,
            lags={row.replica: row.lag for row in session.execute(text(_REPLICAS)) if row.lag is not None},
            imports={row.state: row.imports for row in imports},
            import_rows={row.state: row.rows for row in imports},
            imports_waiting=waiting.waiting,
            imports_oldest_waiting=waiting.oldest,
            runs={(row.flow, row.state): row.runs for row in under_way},
            runs_oldest_waiting=max((row.oldest for row in under_way if row.state == "waiting"), default=0.0),
            runs_ended={
                (row.flow, row.state): row.runs for row in session.execute(text(_RUNS_ENDED), {"lately": LATELY})
            },
            mails_waiting=mails.waiting,
            mails_oldest_waiting=mails.oldest,
            mails_given_up=mails.given_up,
        )


_SERVER = """
    SELECT pg_database_size(current_database()) AS bytes, current_setting('max_connections')::int AS most,
        coalesce((SELECT extract(epoch FROM clock_timestamp() - min(xact_start)) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()), 0)::float8 AS oldest
"""
_CONNECTIONS = """
    SELECT coalesce(nullif(state, ''), 'unknown') AS state, count(*) AS connections FROM pg_stat_activity
    WHERE datname = current_database() GROUP BY 1
"""
# A replica that follows and has nothing to do tells no lag; one that is cut off is not there at all.
_REPLICAS = """
    SELECT coalesce(nullif(application_name, ''), client_addr::text, 'replica') AS replica,
        max(coalesce(extract(epoch FROM replay_lag), 0))::float8 AS lag
    FROM pg_stat_replication WHERE state IS NOT NULL GROUP BY 1
"""
_IMPORTS = "SELECT state, count(*) AS imports, coalesce(sum(rows), 0)::bigint AS rows FROM imports GROUP BY state"
_IMPORTS_WAITING = """
    SELECT count(*) AS waiting, coalesce(extract(epoch FROM clock_timestamp() - min(wanted_at)), 0)::float8 AS oldest
    FROM imports WHERE wanted IS NOT NULL AND (step_at IS NULL OR step_at < wanted_at)
"""
_RUNS = """
    SELECT flow, state, count(*) AS runs,
        extract(epoch FROM clock_timestamp() - min(started_at))::float8 AS oldest
    FROM flow_runs WHERE ended_at IS NULL AND state IN ('running', 'waiting') GROUP BY flow, state
"""
_RUNS_ENDED = """
    SELECT flow, state, count(*) AS runs FROM flow_runs WHERE ended_at > clock_timestamp() - :lately
    GROUP BY flow, state
"""
_MAILS = """
    SELECT count(*) FILTER (WHERE attempts < :tries) AS waiting,
        count(*) FILTER (WHERE attempts >= :tries) AS given_up,
        coalesce(extract(epoch FROM clock_timestamp() - min(created_at) FILTER (WHERE attempts < :tries)), 0)::float8
            AS oldest
    FROM mails WHERE sent_at IS NULL
"""
