-- code: EVO602
-- name: object-is-missing
-- title: migration needs missing objects
-- severity: error
-- consequence: stops-server
-- releases: 2.0.0-beta..
-- summary: a pending migration drops or alters something that does not exist, and fails
-- why: The container stops with P3018 and then loops with P3009: an index, a constraint, a column or a table that a migration
--   drops or alters was dropped before, or never created: 42704, 42703, 42P01. The best known is the index Media_fileName_key,
--   which people drop because it refuses files of the same name, and which the upgrade to 2.3.0 then does not find. If the
--   migration has nothing left to do, the fix records it as applied.
-- fix: safe
-- matches: does not exist
-- matches: Media_fileName_key
-- matches: 42704
-- matches: 42703
-- answers: code=42704
-- answers: code=P3018 code=42703
-- answers: code=P3018 code=42P01
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
    done.differs IS NULL AS fixable,
    CASE WHEN done.differs IS NULL THEN ARRAY[pg_catalog.format('evodoctor fix EVO602 --to %s --apply', :'target')] ELSE ARRAY['evodoctor fix EVO206'] END AS before
FROM
    pg_catalog.jsonb_to_recordset(:'obstacles'::jsonb) AS obstacle (number text, migration text, sqlstate text, object text, what text)
    JOIN (:undone) AS done ON done.number = obstacle.number
WHERE
    obstacle.sqlstate IN ('42704', '42703', '42P01', '42809')
ORDER BY
    obstacle.migration;
