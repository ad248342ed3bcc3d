-- code: release
-- version: 1
-- applicability: quarantine
-- hazards: deletes-rows changes-rows
-- tables: OpenaiCreds OpenaiSetting OpenaiBot
-- after 2.0.3..: nothing holds the credential any more, so DELETE /openai/creds answers 200 and takes nothing with it. An
--   instance without OpenAI settings reads the defaults.
-- What stands in the way.
SELECT
    pg_catalog.format('there is no credential %s', wanted.id) AS refusal
FROM
    (VALUES (:'credential'), (NULLIF(:'to', ''))) AS wanted (id)
WHERE
    wanted.id IS NOT NULL
    AND NOT EXISTS (SELECT FROM :"schema"."OpenaiCreds" AS credential WHERE credential."id" = wanted.id)
UNION ALL
SELECT
    'the credential cannot take its own place: --to names the same one'
WHERE
    :'to' = :'credential'
UNION ALL
SELECT
    pg_catalog.format('only one instance can have its settings on credential %s; first: evodoctor fix EVO204 --apply', :'to')
FROM
    pg_catalog.pg_index AS index
    JOIN pg_catalog.pg_class AS relation ON relation.oid = index.indrelid
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
    JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = relation.oid AND attribute.attnum = index.indkey[0]
WHERE
    namespace.nspname = :'schema'
    AND relation.relname = 'OpenaiSetting'
    AND index.indisunique
    AND index.indnkeyatts = 1
    AND attribute.attname = 'openaiCredsId'
    AND :'to' <> ''
    AND 1 < (
        SELECT pg_catalog.count(*)
        FROM :"schema"."OpenaiSetting" AS setting
        WHERE setting."openaiCredsId" IN (:'credential', :'to')
    );

SELECT
    holder."table",
    pg_catalog.jsonb_build_object('id', holder.id) AS "key",
    CASE WHEN :'to' <> '' THEN pg_catalog.jsonb_build_object('openaiCredsId', :'to') END AS "change",
    pg_catalog.format('credential %s is released', :'credential') AS "reason"
FROM
    (
        SELECT 'OpenaiSetting' AS "table", setting."id" AS id
        FROM :"schema"."OpenaiSetting" AS setting
        WHERE setting."openaiCredsId" = :'credential'
        UNION ALL
        SELECT 'OpenaiBot', bot."id"
        FROM :"schema"."OpenaiBot" AS bot
        WHERE bot."openaiCredsId" = :'credential'
    ) AS holder;
