-- code: EVO110
-- name: unused-credential
-- title: unused OpenAI credentials
-- severity: advice
-- consequence: none
-- releases: 2.0.3-beta..
-- summary: OpenAI credentials that no settings and no bot use
-- why: Nothing is broken. But an unused key is a secret that can leak, and its name and key stay taken: POST /openai/creds with
--   the same ones is refused. It may also just be new. If it is not needed, delete it with DELETE /openai/creds/ID/INSTANCE, or
--   here: DELETE FROM "OpenaiCreds" WHERE "id" = 'ID'.
-- detail: {count:1 credential is|# credentials are} used by no settings and no bot
-- fix: manual
-- judges: OpenaiCreds
-- matches: unused credential
-- matches: OpenaiCreds … not used
-- joins: hash
WITH unused AS MATERIALIZED (
    SELECT credential."id"
    FROM
        :"schema"."OpenaiCreds" AS credential
    WHERE
        NOT EXISTS (SELECT FROM :"schema"."OpenaiSetting" AS setting WHERE setting."openaiCredsId" = credential."id")
        AND NOT EXISTS (SELECT FROM :"schema"."OpenaiBot" AS bot WHERE bot."openaiCredsId" = credential."id")
)
SELECT
    'OpenaiCreds' AS subject,
    pg_catalog.format(
        '"id" NOT IN (SELECT "openaiCredsId" FROM %1$I."OpenaiSetting" WHERE "openaiCredsId" IS NOT NULL'
            ' UNION ALL SELECT "openaiCredsId" FROM %1$I."OpenaiBot" WHERE "openaiCredsId" IS NOT NULL)',
        :'schema'
    ) AS predicate,
    counted.count AS count,
    (
        SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(example) ORDER BY example."id")
        FROM
            (
                SELECT
                    credential."id",
                    credential."name",
                    credential."apiKey",
                    COALESCE((SELECT instance."name" FROM :"schema"."Instance" AS instance WHERE instance."id" = credential."instanceId"), credential."instanceId") AS instance,
                    credential."updatedAt"
                FROM :"schema"."OpenaiCreds" AS credential
                WHERE credential."id" = ANY (ARRAY(SELECT unused."id" FROM unused ORDER BY unused."id" LIMIT 5))
                LIMIT 5
            ) AS example
    ) AS sample,
    'OpenaiCreds' AS key
FROM
    (SELECT pg_catalog.count(*) AS count FROM unused) AS counted
WHERE
    counted.count > 0;
