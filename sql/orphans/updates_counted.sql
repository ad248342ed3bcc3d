-- The status updates whose message is gone, which are counted already, with those that are the first five of them.
-- Run by hand:
--   psql -v schema=public -v count=200000 -v gone='entry.ctid = ANY (''{"(0,1)"}'')'
SELECT
    :'count'::bigint AS count,
    (
        SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(example) - 'pollUpdates' ORDER BY example."id")
        FROM (SELECT entry.* FROM :"schema"."MessageUpdate" AS entry WHERE :gone ORDER BY entry."id" LIMIT 5) AS example
    ) AS sample;
