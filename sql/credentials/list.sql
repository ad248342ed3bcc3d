-- Every OpenAI credential, whose it is, and which settings and bots hold it, of whichever instance.
SELECT
    credential."id" AS id,
    credential."name"::text AS name,
    credential."apiKey"::text AS api_key,
    COALESCE(owner."name"::text, credential."instanceId") AS instance,
    COALESCE(held.holders, '[]'::jsonb) AS holders
FROM
    :"schema"."OpenaiCreds" AS credential
    LEFT JOIN :"schema"."Instance" AS owner ON owner."id" = credential."instanceId"
    LEFT JOIN LATERAL (
        SELECT
            pg_catalog.jsonb_agg(
                pg_catalog.jsonb_build_object(
                    'kind', holder.kind,
                    'id', holder.id,
                    'instance', COALESCE(instance."name", holder.instance_id),
                    'is_foreign', holder.instance_id <> credential."instanceId"
                )
                ORDER BY holder.kind, holder.id
            ) AS holders
        FROM
            (
                SELECT 'setting' AS kind, setting."id" AS id, setting."instanceId" AS instance_id
                FROM :"schema"."OpenaiSetting" AS setting
                WHERE setting."openaiCredsId" = credential."id"
                UNION ALL
                SELECT 'bot', bot."id", bot."instanceId"
                FROM :"schema"."OpenaiBot" AS bot
                WHERE bot."openaiCredsId" = credential."id"
            ) AS holder
            LEFT JOIN :"schema"."Instance" AS instance ON instance."id" = holder.instance_id
    ) AS held ON true
ORDER BY
    owner."name", credential."name", credential."id";
