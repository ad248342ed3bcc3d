-- The status updates for which a condition holds, such as that their message is gone: how many, and the first five.
-- Run by hand:
--   psql -v schema=public -v gone='NOT EXISTS (SELECT FROM "public"."Message" AS message
--        WHERE message."key" ->> ''id'' = entry."keyId" AND message."instanceId" = entry."instanceId")'
WITH gone AS MATERIALIZED (
    SELECT entry."id" FROM :"schema"."MessageUpdate" AS entry WHERE :gone
)
SELECT
    (SELECT pg_catalog.count(*) FROM gone) AS count,
    (
        SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(example) - 'pollUpdates' ORDER BY example."id")
        FROM
            (
                SELECT entry.*
                FROM :"schema"."MessageUpdate" AS entry
                WHERE entry."id" = ANY (ARRAY(SELECT gone."id" FROM gone ORDER BY gone."id" LIMIT 5))
                LIMIT 5
            ) AS example
    ) AS sample;
