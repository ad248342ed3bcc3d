-- code: EVO603
-- name: object-is-needed
-- title: your object blocks a migration
-- severity: error
-- consequence: stops-server
-- releases: 2.0.0-beta..
-- summary: an object of yours uses what a pending migration drops or alters, so it fails
-- why: The container stops with P3018 and then loops with P3009: a view, a rule, a policy, a generated column or a trigger uses a
--   column whose type is altered (0A000, "cannot alter type of a column used by a view or rule") or that is dropped (2BP01,
--   "other objects depend on it"); or an index that is dropped belongs to a constraint. Drop your object before the upgrade, and
--   create it again afterwards.
-- fix: none
-- matches: cannot alter type of a column
-- matches: other objects depend on it
-- matches: 0A000
-- matches: 2BP01
-- answers: code=2BP01
-- answers: message=type-in-use
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
    CASE obstacle.object
        WHEN 'Media_fileName_key' THEN ARRAY[
            pg_catalog.format('ALTER TABLE %I."Media" DROP CONSTRAINT "Media_fileName_key";', :'schema'),
            pg_catalog.format('CREATE UNIQUE INDEX "Media_fileName_key" ON %I."Media" ("fileName");', :'schema')
        ]
        ELSE ARRAY[pg_catalog.format('# %s: drop it, and create it again after the upgrade', obstacle.what)]
    END AS before
FROM
    pg_catalog.jsonb_to_recordset(:'obstacles'::jsonb) AS obstacle (number text, migration text, sqlstate text, object text, what text)
WHERE
    obstacle.sqlstate IN ('2BP01', '0A000', '42601')
ORDER BY
    obstacle.migration;
