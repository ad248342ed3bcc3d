-- code: EVO604
-- name: long-lock
-- severity: warning
-- releases: 2.0.0-beta..
-- summary: a pending migration keeps the server waiting for long
-- why: Messages are not stored and the API does not answer while a migration holds its locks: CREATE INDEX keeps every write to
--   the table waiting, ALTER COLUMN … TYPE every read too, and a migration keeps all its locks until it is done. The
--   time is an estimate from how fast this server reads. Stop the server before, so that nothing queues up, and start one
--   container only.
-- fix: none
-- matches: canceling statement due to lock timeout
-- matches: 55P03
SELECT
    lock."table" AS subject,
    pg_catalog.format(
        'migration %s blocks %s on %s (%s) for about %s s', lock.number, lock.blocks, lock."table", pg_catalog.pg_size_pretty(lock.bytes),
        pg_catalog.ceil(lock.seconds)
    ) AS detail,
    NULL::text AS predicate,
    1::bigint AS count,
    '[]'::jsonb AS sample,
    pg_catalog.concat(lock.number, ' ', lock."table") AS key,
    lock.number AS migration,
    'blocks' AS effect
FROM
    pg_catalog.jsonb_to_recordset(:'locks'::jsonb) AS lock (number text, "table" text, blocks text, bytes bigint, work text, seconds double precision)
WHERE
    lock.blocks <> 'nobody'
    AND lock.seconds >= 5
ORDER BY
    lock.number, lock."table";
