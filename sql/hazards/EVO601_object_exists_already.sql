-- code: EVO601
-- name: object-exists-already
-- severity: error
-- releases: 2.0.0-beta..
-- summary: a pending migration makes something that is there already, and fails
-- why: The container stops with P3018 and then loops with P3009: Postgres refuses to add a column (42701), to make a table or
--   an index (42P07) or a type, an enum value or a constraint (42710) that exists. It comes from prisma db push, from tables
--   copied out of a newer server, and from repairs by hand. Where all that the migration makes is there as upstream makes it,
--   record it as applied; else take away what is in the way, or give it another name.
-- fix: none
-- matches: already exists
-- matches: 42701
-- matches: 42P07
-- matches: 42710
-- matches: P3018
SELECT
    obstacle.object AS subject,
    pg_catalog.format('%s fails with %s: %s', obstacle.migration, obstacle.sqlstate, obstacle.what) AS detail,
    NULL::text AS predicate,
    1::bigint AS count,
    '[]'::jsonb AS sample,
    pg_catalog.concat(obstacle.migration, ' ', obstacle.object) AS key,
    obstacle.number AS migration,
    'fails' AS effect,
    obstacle.sqlstate,
    obstacle.object AS step,
    ARRAY[
        pg_catalog.format('# %s: if all that %s makes is there: npx prisma migrate resolve --applied %2$s', obstacle.object, obstacle.migration),
        pg_catalog.format('# %s: else rename or drop it, and let the migration make its own', obstacle.object)
    ] AS before
FROM
    pg_catalog.jsonb_to_recordset(:'obstacles'::jsonb) AS obstacle (number text, migration text, sqlstate text, object text, what text)
WHERE
    obstacle.sqlstate IN ('42701', '42P07', '42710')
ORDER BY
    obstacle.migration;
