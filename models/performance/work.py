"""What people, programs and flows did in the last week, and how long that took."""

from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.performance.people import Names
from models.performance.shapes import Cause, Flow, Hour, Operation, Slow, Speed

MOST = 20

# Flows are told of by their runs (flow_runs), also those that were killed; among the timings stand their statements.
# A duration is told as the upper bound of its class, and no more than the longest.
_QUANTILES = """
    1000 * least(max(slowest), min(0.001 * 2 ^ (class / 2.0)) FILTER (WHERE upto >= 0.5 * whole)) AS p50_ms,
    1000 * least(max(slowest), min(0.001 * 2 ^ (class / 2.0)) FILTER (WHERE upto >= 0.99 * whole)) AS p99_ms"""
_OPERATIONS = f"""
    WITH classes AS (
        SELECT kind, operation, class, sum(times) AS times, sum(seconds) AS seconds, max(slowest) AS slowest,
            sum(failed) AS failed, sum(rows) AS rows, sum(statements) AS statements
        FROM timings WHERE hour > clock_timestamp() - interval '7 days' AND kind <> 'flow'
        GROUP BY kind, operation, class
    ), summed AS (
        SELECT *, sum(times) OVER (PARTITION BY kind, operation ORDER BY class) AS upto,
            sum(times) OVER (PARTITION BY kind, operation) AS whole
        FROM classes
    )
    SELECT kind, operation, sum(times)::bigint AS times, sum(failed)::bigint AS failed, sum(seconds) AS seconds,
        {_QUANTILES}, 1000 * max(slowest) AS slowest_ms, (sum(statements) / sum(times))::float AS statements,
        (sum(rows) / sum(times))::float AS rows
    FROM summed GROUP BY kind, operation ORDER BY seconds DESC LIMIT 60"""
_HOURS = f"""
    WITH classes AS (
        SELECT hour, class, sum(times) AS times, max(slowest) AS slowest FROM timings
        WHERE hour > clock_timestamp() - interval '7 days' AND kind IN ('screen', 'part', 'api', 'web')
        GROUP BY hour, class
    ), summed AS (
        SELECT *, sum(times) OVER (PARTITION BY hour ORDER BY class) AS upto,
            sum(times) OVER (PARTITION BY hour) AS whole
        FROM classes
    )
    SELECT hour, sum(times)::bigint AS requests, {_QUANTILES} FROM summed GROUP BY hour ORDER BY hour"""
_CAUSES = """
    SELECT kind, operation, user_id, view_id, sum(times)::bigint AS times, sum(seconds) AS seconds FROM (
        SELECT kind, operation, user_id, view_id, times, seconds FROM timings
        WHERE hour > clock_timestamp() - interval '7 days' AND kind <> 'flow'
        UNION ALL
        SELECT 'flow', flow, coalesce(asked_by, 0), 0, 1, seconds FROM flow_runs
        WHERE ended_at > clock_timestamp() - interval '7 days') AS done
    GROUP BY kind, operation, user_id, view_id ORDER BY seconds DESC LIMIT :most"""
_SLOW = """
    SELECT at, kind, operation, user_id, view_id, seconds, statement_seconds, statements, rows FROM slow_operations
    WHERE at > clock_timestamp() - interval '7 days' AND kind <> 'flow' ORDER BY seconds DESC LIMIT :most"""
_SPEEDS = """
    SELECT what, count(*) FILTER (WHERE latest) AS runs, coalesce(sum(rows) FILTER (WHERE latest), 0)::bigint AS rows,
        coalesce(sum(seconds) FILTER (WHERE latest), 0) AS seconds,
        sum(rows) FILTER (WHERE latest)::float / nullif(sum(seconds) FILTER (WHERE latest), 0) AS rows_per_second,
        sum(rows) FILTER (WHERE NOT latest)::float / nullif(sum(seconds) FILTER (WHERE NOT latest), 0) AS before
    FROM (
        SELECT 'imports' AS what, rows, seconds, finished_at > clock_timestamp() - interval '7 days' AS latest
        FROM imports
        WHERE finished_at > clock_timestamp() - interval '14 days' AND state IN ('committed', 'undone')
        UNION ALL
        SELECT 'exports', rows, seconds, finished_at > clock_timestamp() - interval '7 days'
        FROM exports WHERE finished_at > clock_timestamp() - interval '14 days' AND state = 'done') AS done
    GROUP BY what HAVING count(*) FILTER (WHERE latest) > 0 ORDER BY what DESC"""
_FLOWS = """
    SELECT flow, count(*) FILTER (WHERE latest) AS runs,
        count(*) FILTER (WHERE latest AND state IN ('failed', 'crashed')) AS failed,
        avg(seconds) FILTER (WHERE latest) AS mean, max(seconds) FILTER (WHERE latest) AS slowest,
        avg(seconds) FILTER (WHERE NOT latest) AS before
    FROM (
        SELECT flow, state, seconds, ended_at > clock_timestamp() - interval '7 days' AS latest FROM flow_runs
        WHERE ended_at > clock_timestamp() - interval '14 days') AS done
    GROUP BY flow HAVING count(*) FILTER (WHERE latest) > 0 ORDER BY sum(seconds) FILTER (WHERE latest) DESC"""


def operations(session: Session) -> list[Operation]:
    return [Operation(**row) for row in _rows(session, _OPERATIONS)]


def hours(session: Session) -> list[Hour]:
    """What people and programs waited for, hour by hour."""
    return [Hour(**row) for row in _rows(session, _HOURS)]


def causes(session: Session, names: Names) -> list[Cause]:
    """Who and what took most time, flows included."""
    return [Cause(**_named(row, names)) for row in _rows(session, _CAUSES)]


def slow(session: Session, names: Names) -> list[Slow]:
    return [Slow(**_named(row, names)) for row in _rows(session, _SLOW)]


def speeds(session: Session) -> list[Speed]:
    return [Speed(**row) for row in _rows(session, _SPEEDS)]


def flows(session: Session) -> list[Flow]:
    return [Flow(**row) for row in _rows(session, _FLOWS)]


def _rows(session: Session, statement: str) -> list[dict[str, Any]]:
    given = {"most": MOST} if ":most" in statement else {}
    return [dict(row) for row in session.execute(text(statement), given).mappings()]


def _named(row: dict[str, Any], names: Names) -> dict[str, Any]:
    return {**row, "person": names.person(row.pop("user_id")), "view": names.view(row.pop("view_id"))}
