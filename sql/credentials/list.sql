-- Every OpenAI credential, whose it is, and which settings and bots hold it, of whichever instance. Who holds is gathered once for
-- all credentials: no index need lead from a credential to its bots.
WITH holder AS (
    SELECT 'setting' AS kind, setting."id" AS id, setting."instanceId" AS instance_id, setting."openaiCredsId" AS credential_id
    FROM :"schema"."OpenaiSetting" AS setting
    UNION ALL
    SELECT 'bot', bot."id", bot."instanceId", bot."openaiCredsId"
    FROM :"schema"."OpenaiBot" AS bot
),
held AS (
    SELECT
        credential."id",
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
        holder
        JOIN :"schema"."OpenaiCreds" AS credential ON credential."id" = holder.credential_id
        LEFT JOIN :"schema"."Instance" AS instance ON instance."id" = holder.instance_id
    GROUP BY
        credential."id"
)
SELECT
    credential."id" AS id,
    credential."name"::text AS name,
    credential."apiKey"::text AS api_key,
    COALESCE(owner."name"::text, credential."instanceId") AS instance,
    COALESCE(held.holders, '[]'::jsonb) AS holders
FROM
    :"schema"."OpenaiCreds" AS credential
    LEFT JOIN :"schema"."Instance" AS owner ON owner."id" = credential."instanceId"
    LEFT JOIN held ON held."id" = credential."id"
ORDER BY
    owner."name", credential."name", credential."id";
