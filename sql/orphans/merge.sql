-- The rows of one key that refer to nothing, in one range of its values: the indexes of both sides are read in their order
-- and compared as a zip closes. Ranges share no value, so what they find adds up.
-- Run by hand for one key, for example:
--   psql -v child='"public"."Media"' -v reference='"public"."Media"."messageId"' -v reference_name=messageId
--        -v child_range='"public"."Media"."messageId" < ''cm5'''
--        -v orphaned='NOT EXISTS (SELECT FROM "public"."Message" AS parent WHERE parent."id" = "public"."Media"."messageId")'
WITH missing AS MATERIALIZED (
    SELECT
        :reference AS value,
        pg_catalog.count(*) AS count,
        pg_catalog.row_number() OVER (ORDER BY :reference) AS position
    FROM
        :child
    WHERE
        :child_range
        AND :orphaned
    GROUP BY
        :reference
)
SELECT
    COALESCE(pg_catalog.sum(missing.count), 0)::bigint AS count,
    pg_catalog.count(*) AS missing,
    pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(:'reference_name', missing.value) ORDER BY missing.position)
        FILTER (WHERE missing.position <= 5) AS first
FROM
    missing;
