-- code: EVO615
-- name: token-too-long
-- title: token too long for the upgrade
-- severity: error
-- consequence: stops-server
-- releases: 2.0.0-beta..2.3.7
-- migration: 20251216143054
-- summary: an instance's token is longer than 500 characters; 2.4.0's upgrade fails
-- why: The upgrade stops with 22001 "value too long for type character varying(500)" if the column "token" of "Instance" was
--   widened beyond that and holds longer tokens: 2.4.0 sets it to exactly 500. Give those instances shorter tokens, or remove
--   instances that are no longer used.
-- detail: {count:1 token is|# tokens are} longer than 500 characters (22001)
-- fix: none
-- matches: value too long for type character varying(500)
-- answers: code=22001 width=500
SELECT
    'Instance.token' AS subject,
    'pg_catalog.substr("token", 501) ~ ''[^ ]''' AS predicate,
    pg_catalog.count(*) AS count,
    (
        SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(example))
        FROM
            (
                SELECT one."name", pg_catalog.length(one."token") AS length FROM :"schema"."Instance" AS one
                WHERE pg_catalog.substr(one."token", 501) ~ '[^ ]' ORDER BY one."id" LIMIT 5
            ) AS example
    ) AS sample,
    'Instance.token' AS key,
    'fails' AS effect,
    '22001' AS sqlstate,
    'Instance.token' AS step,
    ARRAY['# give these instances tokens of at most 500 characters: WHERE pg_catalog.substr("token", 501) ~ ''[^ ]'''] AS before
FROM
    :"schema"."Instance" AS instance
WHERE
    -- Spaces at the end are cut off without complaint.
    pg_catalog.substr(instance."token", 501) ~ '[^ ]'
HAVING
    pg_catalog.count(*) > 0;
