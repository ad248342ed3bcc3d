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
WITH blocking AS (
    SELECT key.relname, key.definition, key.is_upstreams
    FROM (:server_wide_keys) AS key
    WHERE key.table_name = 'OpenaiSetting' AND key.column_name = 'openaiCredsId'
),
held AS (
    SELECT
        setting."id",
        setting."openaiCredsId",
        COALESCE(instance."name", setting."instanceId") AS instance
    FROM
        :"schema"."OpenaiSetting" AS setting
        LEFT JOIN :"schema"."Instance" AS instance ON instance."id" = setting."instanceId"
)
SELECT
    pg_catalog.format('%I', blocking.relname) AS subject,
    pg_catalog.concat(
        CASE held.count
            WHEN 0 THEN 'no settings use a credential yet; the first one used could not be shared'
            WHEN 1 THEN '1 credential is in use by settings and cannot be used by those of a second instance'
            ELSE pg_catalog.format('%s credentials are in use by settings and cannot be used by those of a second instance', held.count)
        END,
        CASE WHEN NOT blocking.is_upstreams THEN pg_catalog.format('; the index differs from upstream''s (%s), or its new name is taken, so changing it is left to you', blocking.definition) END
    ) AS detail,
    '"openaiCredsId" IS NOT NULL' AS predicate,
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
