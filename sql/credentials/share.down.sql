-- code: share
-- A key in use would take settings and bots with it.
SELECT
    pg_catalog.format('%s %s of instance %s uses credential %s', holder.kind, holder.id, COALESCE(instance."name", holder.instance_id), :'new_id') AS refusal
FROM
    (
        SELECT 'setting' AS kind, setting."id" AS id, setting."instanceId" AS instance_id
        FROM :"schema"."OpenaiSetting" AS setting
        WHERE setting."openaiCredsId" = :'new_id'
        UNION ALL
        SELECT 'bot', bot."id", bot."instanceId"
        FROM :"schema"."OpenaiBot" AS bot
        WHERE bot."openaiCredsId" = :'new_id'
    ) AS holder
    LEFT JOIN :"schema"."Instance" AS instance ON instance."id" = holder.instance_id;

DELETE FROM :"schema"."OpenaiCreds" AS credential
WHERE
    credential."id" = :'new_id';
