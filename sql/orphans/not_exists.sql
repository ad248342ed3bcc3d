-- The rows of one key that refer to nothing, found as the planner likes: how many, how many different rows are missing,
-- and the first five by what they refer to.
-- Run by hand for one key, for example:
--   psql -v child='"public"."Message"' -v columns='"id", "sessionId"' -v order='"sessionId", "id"' -v reference='"sessionId"'
--        -v predicate='"sessionId" IS NOT NULL AND NOT EXISTS (…)'
SELECT
    pg_catalog.count(*) AS count,
    pg_catalog.count(DISTINCT orphan."evodoctor reference") AS missing,
    pg_catalog.jsonb_agg(
        pg_catalog.to_jsonb(orphan) - 'evodoctor position' - 'evodoctor reference'
        ORDER BY orphan."evodoctor position"
    ) FILTER (WHERE orphan."evodoctor position" <= 5) AS sample
FROM
    (
        SELECT
            :columns,
            ROW(:reference)::text AS "evodoctor reference",
            pg_catalog.row_number() OVER (ORDER BY :order) AS "evodoctor position"
        FROM
            :child
        WHERE
            :predicate
    ) AS orphan;
