-- Bytes of tables that hold nothing, from the average widths of pg_stats: rows times (row header + widths), in pages of
-- 8 kB less their headers, against the pages that are there. What is stored beside the table (TOAST) does not count.
SELECT tables.oid::bigint AS oid,
    greatest(0, tables.relpages - ceil(tables.reltuples * (28 + sum(ceil(stats.avg_width * (1 - stats.null_frac))) )
        / (8168 * 0.98)))::bigint * 8192 AS bloat
FROM pg_class AS tables
JOIN pg_namespace AS schemas ON schemas.oid = tables.relnamespace
JOIN pg_stats AS stats ON stats.schemaname = schemas.nspname AND stats.tablename = tables.relname AND NOT stats.inherited
WHERE tables.relkind = 'r' AND schemas.nspname = 'public' AND tables.reltuples > 0
GROUP BY tables.oid, tables.relpages, tables.reltuples
