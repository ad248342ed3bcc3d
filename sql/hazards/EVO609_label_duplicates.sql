-- code: EVO609
-- name: label-duplicates
-- title: duplicate labels stop upgrade
-- severity: error
-- consequence: stops-server
-- releases: 2.0.0-beta..2.0.9-rc
-- migration: 20240813003116
-- summary: duplicate labels of an instance violate a pending unique index
-- why: The upgrade to 2.0.9 stops with 23505 'could not create unique index "Label_labelId_instanceId_key"' where an instance has
--   two labels of one number. An older index prevents them; if it is missing, they may exist.
-- detail: {labels:1 label is|# labels are} there more than once in an instance, so the unique index cannot be built (23505)
-- fix: quarantine
-- matches: could not create unique index "Label_labelId_instanceId_key"
-- answers: message=index-not-created constraint=Label_labelId_instanceId_key
WITH twice AS (
    SELECT label."instanceId", label."labelId", pg_catalog.count(*) AS count
    FROM :"schema"."Label" AS label
    WHERE label."labelId" IS NOT NULL
    GROUP BY label."instanceId", label."labelId"
    HAVING pg_catalog.count(*) > 1
)
SELECT
    'Label' AS subject,
    pg_catalog.jsonb_build_object('labels', pg_catalog.count(*)) AS "values",
    pg_catalog.format(
        '("instanceId", "labelId") IN (SELECT "instanceId", "labelId" FROM %I."Label" GROUP BY "instanceId", "labelId" HAVING pg_catalog.count(*) > 1)',
        :'schema'
    ) AS predicate,
    pg_catalog.sum(twice.count)::bigint AS count,
    (
        SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(example))
        FROM (SELECT * FROM twice AS one ORDER BY one.count DESC, one."labelId" LIMIT 5) AS example
    ) AS sample,
    'Label_labelId_instanceId_key' AS key,
    'fails' AS effect,
    '23505' AS sqlstate,
    'Label_labelId_instanceId_key' AS step,
    ARRAY[pg_catalog.format('evodoctor fix EVO609 --to %s --apply --allow deletes-rows,changes-rows', :'target')] AS before
FROM
    twice
HAVING
    pg_catalog.count(*) > 0;
