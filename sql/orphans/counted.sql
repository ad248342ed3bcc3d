-- The rows of one key that refer to nothing, which are counted already, with those rows that are the first five of them.
-- Run by hand for one key, for example:
--   psql -v count=200000 -v missing=500 -v child='"public"."Message"' -v columns='"id", "sessionId"'
--        -v order='"sessionId", "id"' -v predicate='"public"."Message".ctid = ANY (''{"(0,1)"}'')'
SELECT
    :'count'::bigint AS count,
    :'missing'::bigint AS missing,
    (
        SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(example))
        FROM (SELECT :columns FROM :child WHERE :predicate ORDER BY :order LIMIT 5) AS example
    ) AS sample;
