-- code: EVO203
-- name: openai-credential-name-unique-across-instances
-- title: credential names cannot repeat
-- severity: warning
-- consequence: fails-requests
-- releases: 2.0.3..
-- summary: two instances cannot have OpenAI credentials of the same name
-- why: POST /openai/creds fails with P2002 on name when any other instance of the server has a credential of that name,
--   "default" for example. The unique index "OpenaiCreds_name_key" covers all instances at once.
-- detail: {count:1 credential has a name|# credentials have names} that no second instance can use{left_to_you}
-- detail none: no credential has a name yet; the first name could not be used by another instance{left_to_you}
-- fix: safe
-- matches: OpenaiCreds_name_key
-- matches: Unique constraint failed … `name`
-- matches: P2002 … `name`
-- matches: P2002 … OpenaiCreds … name
-- answers: code=23505 constraint=OpenaiCreds_name_key
-- answers: code=23505 model=OpenaiCreds fields=name
-- answers: code=23505 fields=name
-- answers: text="Error creating openai creds"
-- Run by hand: psql -v schema=public -v server_wide_keys="$(sed 's/;$//' sql/catalog/server_wide_keys.sql)"
SELECT
    pg_catalog.format('%I', key.relname) AS subject,
    pg_catalog.jsonb_build_object('left_to_you', key.left_to_you) AS "values",
    '"name" IS NOT NULL' AS predicate,
    held.count AS count,
    (
        SELECT COALESCE(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(example)), '[]')
        FROM
            (
                SELECT credential."id", credential."name", credential."apiKey", COALESCE(instance."name", credential."instanceId") AS instance
                FROM
                    :"schema"."OpenaiCreds" AS credential
                    LEFT JOIN :"schema"."Instance" AS instance ON instance."id" = credential."instanceId"
                WHERE credential."name" IS NOT NULL
                ORDER BY credential."id"
                LIMIT 5
            ) AS example
    ) AS sample,
    key.relname::text AS key,
    CASE WHEN held.count = 0 THEN 'advice' ELSE 'warning' END AS severity,
    key.is_upstreams AS fixable
FROM
    (:server_wide_keys) AS key
    CROSS JOIN (SELECT pg_catalog.count(*) AS count FROM :"schema"."OpenaiCreds" AS credential WHERE credential."name" IS NOT NULL) AS held
WHERE
    key.table_name = 'OpenaiCreds' AND key.column_name = 'name';
