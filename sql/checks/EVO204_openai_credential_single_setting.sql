-- code: EVO204
-- name: openai-credential-single-setting
-- title: credential for one instance only
-- severity: warning
-- consequence: fails-requests
-- releases: 2.0.3..
-- summary: only the settings of one instance can use an OpenAI credential
-- why: POST /openai/settings fails (500, P2002 on openaiCredsId; P2011 from 2.3.0) when the settings of another instance use the
--   credential already. The unique index "OpenaiSetting_openaiCredsId_key" limits each credential to the settings of one
--   instance.
-- detail: {count:1 credential is|# credentials are} in use by settings and cannot be used by those of a second instance{left_to_you}
-- detail none: no settings use a credential yet; the first one used could not be shared{left_to_you}
-- fix: safe
-- matches: OpenaiSetting_openaiCredsId_key
-- matches: Unique constraint failed … `openaiCredsId`
-- matches: P2002 … openaiCredsId
-- matches: P2011 … openaiCredsId
-- answers: code=23505 constraint=OpenaiSetting_openaiCredsId_key
-- answers: code=23505 fields=openaiCredsId
-- answers: code=23502 fields=openaiCredsId
-- answers: code=23502 model=OpenaiSetting
-- answers: text="Error setting default settings"
-- Run by hand: psql -v schema=public -v server_wide_keys="$(sed 's/;$//' sql/catalog/server_wide_keys.sql)"
SELECT
    pg_catalog.format('%I', key.relname) AS subject,
    pg_catalog.jsonb_build_object('left_to_you', key.left_to_you) AS "values",
    '"openaiCredsId" IS NOT NULL' AS predicate,
    held.count AS count,
    (
        SELECT COALESCE(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(example)), '[]')
        FROM
            (
                SELECT setting."id", setting."openaiCredsId", COALESCE(instance."name", setting."instanceId") AS instance
                FROM
                    :"schema"."OpenaiSetting" AS setting
                    LEFT JOIN :"schema"."Instance" AS instance ON instance."id" = setting."instanceId"
                ORDER BY setting."id"
                LIMIT 5
            ) AS example
    ) AS sample,
    key.relname::text AS key,
    CASE WHEN held.count = 0 THEN 'advice' ELSE 'warning' END AS severity,
    key.is_upstreams AS fixable
FROM
    (:server_wide_keys) AS key
    CROSS JOIN (SELECT pg_catalog.count(*) AS count FROM :"schema"."OpenaiSetting" AS setting) AS held
WHERE
    key.table_name = 'OpenaiSetting' AND key.column_name = 'openaiCredsId';
