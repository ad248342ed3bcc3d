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
-- detail: {count:1 credential holds an API key|# credentials hold API keys} that no second instance can be given{left_to_you}
-- detail none: no credential holds a key yet; the first one could not be shared between instances{left_to_you}
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
SELECT
    pg_catalog.format('%I', key.relname) AS subject,
    pg_catalog.jsonb_build_object('left_to_you', key.left_to_you) AS "values",
    '"apiKey" IS NOT NULL' AS predicate,
    held.count AS count,
    (
        SELECT COALESCE(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(example)), '[]')
        FROM
            (
                SELECT credential."id", credential."name", credential."apiKey", COALESCE(instance."name", credential."instanceId") AS instance
                FROM
                    :"schema"."OpenaiCreds" AS credential
                    LEFT JOIN :"schema"."Instance" AS instance ON instance."id" = credential."instanceId"
                WHERE credential."apiKey" IS NOT NULL
                ORDER BY credential."id"
                LIMIT 5
            ) AS example
    ) AS sample,
    key.relname::text AS key,
    CASE WHEN held.count = 0 THEN 'advice' ELSE 'warning' END AS severity,
    key.is_upstreams AS fixable
FROM
    (:server_wide_keys) AS key
    CROSS JOIN (SELECT pg_catalog.count(*) AS count FROM :"schema"."OpenaiCreds" AS credential WHERE credential."apiKey" IS NOT NULL) AS held
WHERE
    key.table_name = 'OpenaiCreds' AND key.column_name = 'apiKey';
