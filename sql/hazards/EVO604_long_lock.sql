-- code: EVO604
-- name: long-lock
-- title: migration holds a lock for long
-- severity: warning
-- consequence: slow
-- releases: 2.0.0-beta..
-- summary: a pending migration blocks the server for long
-- why: Messages are not stored and the API does not answer while a migration holds its locks: CREATE INDEX keeps every write to
--   the table waiting, ALTER COLUMN … TYPE every read too, and a migration keeps all its locks until it is done. The time is an
--   estimate from how fast this server reads. Stop the server first, so that nothing queues up, and start one container only.
-- fix: none
-- matches: canceling statement due to lock timeout
-- matches: 55P03
-- answers: code=55P03
SELECT
    blocked.tables[1] AS subject,
    pg_catalog.format(
        'migration %s blocks %s on %s%s for about %s s', blocked.number, blocked.blocks,
        pg_catalog.array_to_string(blocked.sized[:3], ', '),
        CASE WHEN pg_catalog.cardinality(blocked.tables) > 3 THEN pg_catalog.format(' and %s more', pg_catalog.cardinality(blocked.tables) - 3) END,
        pg_catalog.ceil(blocked.seconds)
    ) AS detail,
    NULL::text AS predicate,
    pg_catalog.cardinality(blocked.tables)::bigint AS count,
    '[]'::jsonb AS sample,
    pg_catalog.concat_ws(' ', blocked.number, blocked.blocks) AS key,
    blocked.number AS migration,
    'blocks' AS effect
FROM
    (
        SELECT
            lock.number,
            lock.blocks,
            pg_catalog.max(lock.seconds) AS seconds,
            pg_catalog.array_agg(lock."table" ORDER BY lock.bytes DESC, lock."table") AS tables,
            pg_catalog.array_agg(pg_catalog.format('%s (%s)', lock."table", pg_catalog.pg_size_pretty(lock.bytes)) ORDER BY lock.bytes DESC, lock."table") AS sized
        FROM
            pg_catalog.jsonb_to_recordset(:'locks'::jsonb) AS lock (number text, "table" text, blocks text, bytes bigint, work text, seconds double precision)
        WHERE
            lock.blocks <> 'nobody'
            AND lock.seconds >= 5
        GROUP BY
            lock.number, lock.blocks
    ) AS blocked
ORDER BY
    blocked.number;
