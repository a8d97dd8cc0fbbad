"""How large tables and indexes are, how much they grew, what in them holds nothing, and which indexes nothing reads."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from models.performance.shapes import Index, Table

MOST = 20
LEAST_BYTES = 1_000_000  # of an index that is worth a word
EXACTLY = "pgstattuple_approx"
ESTIMATED = "an estimate from the average widths of pg_stats"
LARGE = 10_000_000  # bytes of a table whose bloat is looked for
_TABLES = """
    WITH base AS (
        SELECT id, made_at FROM performance_reports WHERE made_at > clock_timestamp() - interval '7 days 12 hours'
        ORDER BY made_at LIMIT 1)
    SELECT tables.oid::bigint AS oid, tables.relname AS name,
        -- Less than nothing: nobody has analyzed the table yet.
        CASE WHEN tables.reltuples >= 0 THEN tables.reltuples ELSE coalesce(stats.n_live_tup, 0) END::bigint AS rows,
        pg_table_size(tables.oid) AS bytes, pg_indexes_size(tables.oid) AS index_bytes,
        pg_total_relation_size(tables.oid) - counters.bytes AS grown,
        extract(epoch FROM clock_timestamp() - base.made_at)::float / 86400 AS grown_days,
        coalesce(stats.n_dead_tup, 0) AS dead
    FROM pg_class AS tables
    LEFT JOIN pg_stat_all_tables AS stats ON stats.relid = tables.oid
    LEFT JOIN base ON true
    LEFT JOIN relation_counters AS counters ON counters.report_id = base.id AND counters.relation = tables.relname
    WHERE tables.relkind IN ('r', 'm') AND tables.relnamespace = 'public'::regnamespace
    ORDER BY pg_total_relation_size(tables.oid) DESC"""
_INDEXES = """
    SELECT indexes.indexrelname AS name, indexes.relname AS table, pg_relation_size(indexes.indexrelid) AS bytes,
        coalesce(indexes.idx_scan, 0) AS scans,
        NOT (rules.indisunique OR rules.indisprimary OR rules.indisexclusion OR EXISTS (
            SELECT FROM pg_constraint WHERE conindid = indexes.indexrelid)) AS free,
        pg_get_indexdef(indexes.indexrelid) AS definition,
        (SELECT min(reports.made_at) FROM relation_counters AS counters
            JOIN performance_reports AS reports ON reports.id = counters.report_id
            WHERE counters.relation = indexes.indexrelname AND counters.scans = coalesce(indexes.idx_scan, 0)
                AND reports.made_at > coalesce((SELECT stats_reset FROM pg_stat_database
                    WHERE datname = current_database()), '-infinity')) AS known_since
    FROM pg_stat_user_indexes AS indexes JOIN pg_index AS rules ON rules.indexrelid = indexes.indexrelid
    WHERE indexes.schemaname = 'public' ORDER BY pg_relation_size(indexes.indexrelid) DESC"""
BLOAT = Path(__file__).with_name("bloat.sql").read_text()


@dataclass(frozen=True)
class Known:
    """An index: `free` is one that stands for no rule; it was read as often as now since at least `known_since`."""

    name: str
    table: str
    bytes: int
    scans: int
    free: bool
    definition: str
    known_since: datetime | None

    @property
    def is_unused(self) -> bool:
        return self.free and not self.scans and self.bytes >= LEAST_BYTES

    def idle(self, now: datetime) -> timedelta:
        return now - self.known_since if self.known_since else timedelta(0)


def tables(session: Session) -> tuple[list[Table], str]:
    """The largest first, and where the bloat is known from."""
    rows = [dict(row) for row in session.execute(text(_TABLES)).mappings()]
    bloat, source = _bloat(session, rows)
    found = []
    for row in rows:
        oid = row.pop("oid")
        found.append(Table(**row, bloat=bloat.get(oid) if row["bytes"] >= LARGE else None))
    return found, source


def indexes(session: Session) -> list[Known]:
    return [Known(**row) for row in session.execute(text(_INDEXES)).mappings()]


def described(found: list[Known]) -> list[Index]:
    return [Index(name=one.name, table=one.table, bytes=one.bytes, scans=one.scans) for one in found[:MOST]]


def _bloat(session: Session, rows: list[dict[str, Any]]) -> tuple[dict[int, int], str]:
    large = [row["oid"] for row in rows if row["bytes"] >= LARGE][:MOST]
    exactly = "SELECT tables.oid, approx_free_space FROM unnest(cast(:oids AS bigint[])) AS tables (oid), pgstattuple_approx(tables.oid::oid::regclass)"  # noqa: E501
    has = session.scalar(text("SELECT count(*) FROM pg_extension WHERE extname = 'pgstattuple'"))
    if has:
        try:
            with session.begin_nested():
                return {row[0]: int(row[1]) for row in session.execute(text(exactly), {"oids": large})}, EXACTLY
        except DBAPIError:
            pass  # it takes a right that this role lacks
    return {row.oid: int(row.bloat) for row in session.execute(text(BLOAT))}, ESTIMATED
