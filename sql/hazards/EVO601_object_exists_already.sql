-- code: EVO601
-- name: object-exists-already
-- title: migration creates what exists
-- severity: error
-- consequence: stops-server
-- releases: 2.0.0-beta..
-- summary: a pending migration creates something that exists already, and fails
-- why: The container stops with P3018 and then loops with P3009: Postgres refuses to add a column (42701), to create a table or
--   an index (42P07) or a type, an enum value or a constraint (42710) that exists. It comes from prisma db push, from tables
--   copied out of a newer server, and from manual repairs. If everything that the migration creates exists exactly in upstream's
--   form, the fix records it as applied; otherwise drop or rename what blocks it.
-- fix: safe
-- matches: already exists
-- matches: 42701
-- matches: 42P07
-- matches: 42710
-- matches: P3018
-- answers: code=42701
-- answers: code=42P07
-- answers: code=42710
SELECT
    obstacle.object AS subject,
    pg_catalog.concat(
        obstacle.migration, ' fails with ', obstacle.sqlstate, ': ', obstacle.what,
        CASE WHEN done.differs IS NULL THEN '; everything that it creates exists in upstream''s form' ELSE '; not done, or not in upstream''s form: ' || done.differs END
    ) AS detail,
    NULL::text AS predicate,
    1::bigint AS count,
    '[]'::jsonb AS sample,
    pg_catalog.concat(obstacle.migration, ' ', obstacle.object) AS key,
    obstacle.number AS migration,
    'fails' AS effect,
    obstacle.sqlstate,
    obstacle.object AS step,
    done.differs IS NULL AS fixable,
    CASE
        WHEN done.differs IS NULL THEN ARRAY[pg_catalog.format('evodoctor fix EVO601 --to %s --apply', :'target')]
        ELSE ARRAY[pg_catalog.format('# %s: rename or drop it, and let %s create its own', obstacle.object, obstacle.migration)]
    END AS before
FROM
    pg_catalog.jsonb_to_recordset(:'obstacles'::jsonb) AS obstacle (number text, migration text, sqlstate text, object text, what text)
    JOIN (:undone) AS done ON done.number = obstacle.number
WHERE
    obstacle.sqlstate IN ('42701', '42P07', '42710')
ORDER BY
    obstacle.migration;
