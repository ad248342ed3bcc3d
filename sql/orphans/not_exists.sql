-- The rows of one key that refer to nothing, found as the planner likes: how many, how many different rows are missing,
-- and the first five by what they refer to. Only what tells them apart is kept of them all, and only five are put into words.
-- Run by hand for one key, for example:
--   psql -v child='"public"."Message"' -v columns='"id", "sessionId"' -v orphan_order='orphan."sessionId", orphan."id"'
--        -v orphan_reference='orphan."sessionId"' -v predicate='"sessionId" IS NOT NULL AND NOT EXISTS (…)'
WITH orphan AS MATERIALIZED (
    SELECT
        :columns
    FROM
        :child
    WHERE
        :predicate
),
missing AS (
    SELECT pg_catalog.count(*) AS rows
    FROM orphan
    GROUP BY :orphan_reference
)
SELECT
    COALESCE(pg_catalog.sum(missing.rows), 0)::bigint AS count,
    pg_catalog.count(*) AS missing,
    (
        SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(example))
        FROM (SELECT orphan.* FROM orphan ORDER BY :orphan_order LIMIT 5) AS example
    ) AS sample
FROM
    missing;
