-- code: EVO202
-- name: openai-api-key-unique-across-instances
-- title: an API key cannot be shared
-- severity: warning
-- consequence: fails-requests
-- releases: 2.0.3..
-- summary: two instances cannot use the same OpenAI API key
-- why: POST /openai/creds for a second instance with a key that another instance has is refused: 500 with P2002 on
--   apiKey up to 2.2.3, 400 "This API key is already registered" from 2.3.0. The unique index
--   "OpenaiCreds_apiKey_key" covers all instances of the server at once, although a company usually has one key for
--   all its numbers.
-- fix: safe
-- matches: OpenaiCreds_apiKey_key
-- matches: P2002 … apiKey
-- matches: Unique constraint failed … `apiKey`
-- matches: This API key is already registered
-- answers: code=23505 constraint=OpenaiCreds_apiKey_key
-- answers: code=23505 fields=apiKey
-- answers: text="This API key is already registered"
-- answers: text="Error creating openai creds"
-- Run by hand: psql -v schema=public -v server_wide_keys="$(sed 's/;$//' sql/catalog/server_wide_keys.sql)"
WITH blocking AS (
    SELECT key.relname, key.definition, key.is_upstreams
    FROM (:server_wide_keys) AS key
    WHERE key.table_name = 'OpenaiCreds' AND key.column_name = 'apiKey'
),
held AS (
    SELECT
        credential."id",
        credential."name",
        credential."apiKey",
        COALESCE(instance."name", credential."instanceId") AS instance
    FROM
        :"schema"."OpenaiCreds" AS credential
        LEFT JOIN :"schema"."Instance" AS instance ON instance."id" = credential."instanceId"
    WHERE
        credential."apiKey" IS NOT NULL
)
SELECT
    pg_catalog.format('%I', blocking.relname) AS subject,
    pg_catalog.concat(
        CASE held.count
            WHEN 0 THEN 'no credential holds a key yet; the first one could not be shared between instances'
            WHEN 1 THEN '1 credential holds an API key that no second instance can be given'
            ELSE pg_catalog.format('%s credentials hold API keys that no second instance can be given', held.count)
        END,
        CASE WHEN NOT blocking.is_upstreams THEN pg_catalog.format('; the index differs from upstream''s (%s), or its new name is taken, so changing it is left to you', blocking.definition) END
    ) AS detail,
    '"apiKey" IS NOT NULL' AS predicate,
    held.count AS count,
    held.sample AS sample,
    blocking.relname::text AS key,
    CASE WHEN held.count = 0 THEN 'advice' ELSE 'warning' END AS severity,
    blocking.is_upstreams AS fixable
FROM
    blocking
    CROSS JOIN (
        SELECT
            pg_catalog.count(*) AS count,
            (
                SELECT COALESCE(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(example)), '[]'::jsonb)
                FROM (SELECT * FROM held ORDER BY held."id" LIMIT 5) AS example
            ) AS sample
        FROM
            held
    ) AS held;
