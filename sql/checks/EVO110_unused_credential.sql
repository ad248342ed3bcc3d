-- code: EVO110
-- name: unused-credential
-- severity: advice
-- releases: 2.0.3-beta..
-- summary: OpenAI credentials that no settings and no bot use
-- why: Nothing is broken. But a key that nobody uses is a secret that can leak, and its name and key stay taken: POST
--   /openai/creds with the same ones is refused. It may also just be new. If it is not needed, delete it with
--   DELETE /openai/creds/ID/INSTANCE, or here: DELETE FROM "OpenaiCreds" WHERE "id" = 'ID'.
-- fix: manual
-- judges: OpenaiCreds
-- matches: unused credential
-- matches: OpenaiCreds … not used
WITH unused AS (
    SELECT
        credential."id",
        credential."name",
        credential."apiKey",
        COALESCE(instance."name", credential."instanceId") AS instance,
        credential."updatedAt",
        pg_catalog.row_number() OVER (ORDER BY credential."id") AS position
    FROM
        :"schema"."OpenaiCreds" AS credential
        LEFT JOIN :"schema"."Instance" AS instance ON instance."id" = credential."instanceId"
    WHERE
        NOT EXISTS (SELECT FROM :"schema"."OpenaiSetting" AS setting WHERE setting."openaiCredsId" = credential."id")
        AND NOT EXISTS (SELECT FROM :"schema"."OpenaiBot" AS bot WHERE bot."openaiCredsId" = credential."id")
)
SELECT
    'OpenaiCreds' AS subject,
    pg_catalog.format('%s used by no settings and no bot', CASE pg_catalog.count(*) WHEN 1 THEN '1 credential is' ELSE pg_catalog.count(*) || ' credentials are' END) AS detail,
    pg_catalog.format(
        '"id" NOT IN (SELECT "openaiCredsId" FROM %1$I."OpenaiSetting" WHERE "openaiCredsId" IS NOT NULL'
            ' UNION ALL SELECT "openaiCredsId" FROM %1$I."OpenaiBot" WHERE "openaiCredsId" IS NOT NULL)',
        :'schema'
    ) AS predicate,
    pg_catalog.count(*) AS count,
    pg_catalog.jsonb_agg(pg_catalog.to_jsonb(unused) - 'position' ORDER BY unused.position) FILTER (WHERE unused.position <= 5) AS sample,
    'OpenaiCreds' AS key
FROM
    unused
HAVING
    pg_catalog.count(*) > 0;
