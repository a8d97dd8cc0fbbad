-- What statements took since the last report that is a week old, or since the server counts; and before that. A counter
-- that is less than it was began anew: the server's statistics were reset. One statement stands there once for each
-- role that sends it.
WITH base AS (
    SELECT id, made_at FROM performance_reports
    WHERE made_at < clock_timestamp() - interval '6 days 12 hours' ORDER BY made_at DESC LIMIT 1
), older AS (
    SELECT reports.id FROM performance_reports AS reports, base
    WHERE reports.made_at < base.made_at - interval '6 days 12 hours' ORDER BY reports.made_at DESC LIMIT 1
), present AS (
    SELECT queryid AS statement, min(query) AS text, sum(calls) AS calls, sum(total_exec_time) / 1000 AS seconds
    FROM pg_stat_statements
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND queryid IS NOT NULL
        AND position('pg_temp' IN query) = 0  -- what the report itself tries
    GROUP BY queryid
)
SELECT present.statement, present.text, present.calls AS all_calls, present.seconds AS all_seconds,
    present.calls - CASE WHEN present.calls >= week.calls THEN week.calls ELSE 0 END AS calls,
    present.seconds - CASE WHEN present.calls >= week.calls THEN week.seconds ELSE 0 END AS seconds,
    week.calls - CASE WHEN week.calls >= before.calls THEN before.calls ELSE 0 END AS calls_before,
    week.seconds - CASE WHEN week.calls >= before.calls THEN before.seconds ELSE 0 END AS seconds_before
FROM present
LEFT JOIN LATERAL (
    SELECT coalesce(sum(calls), 0) AS calls, coalesce(sum(seconds), 0) AS seconds FROM statement_counters
    WHERE report_id = (SELECT id FROM base) AND statement = present.statement) AS week ON true
LEFT JOIN LATERAL (
    SELECT coalesce(sum(calls), 0) AS calls, coalesce(sum(seconds), 0) AS seconds FROM statement_counters
    WHERE report_id = (SELECT id FROM older) AND statement = present.statement) AS before ON true
