-- code: release
-- version: 2
-- applicability: quarantine
-- hazards: deletes-rows changes-rows
-- tables: OpenaiCreds OpenaiSetting OpenaiBot IntegrationSession
-- after 2.0.3..: nothing holds the credential any more, so DELETE /openai/creds answers 200 and takes nothing with it. An
--   instance without OpenAI settings reads the defaults. The sessions of a bot that goes, go with it: the server never ends them,
--   and an open one keeps every other bot from answering its contact (seen on 2.1.1 and 2.3.7).
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
    )
UNION ALL
SELECT
    pg_catalog.format(
        'credential %s is of instance %s, and instance %s would use it: deleting %s then stops half-way or takes the others'' settings and bots along (EVO106). '
            'Better: evodoctor credentials share %s INSTANCE. To do it all the same add --across-instances',
        :'to', COALESCE(owner."name", target."instanceId"),
        pg_catalog.string_agg(COALESCE(instance."name", holder.instance_id), ', ' ORDER BY instance."name"),
        COALESCE(owner."name", target."instanceId"), :'to'
    )
FROM
    :"schema"."OpenaiCreds" AS target
    JOIN (
        SELECT setting."instanceId" AS instance_id FROM :"schema"."OpenaiSetting" AS setting WHERE setting."openaiCredsId" = :'credential'
        UNION
        SELECT bot."instanceId" FROM :"schema"."OpenaiBot" AS bot WHERE bot."openaiCredsId" = :'credential'
    ) AS holder ON holder.instance_id <> target."instanceId"
    LEFT JOIN :"schema"."Instance" AS owner ON owner."id" = target."instanceId"
    LEFT JOIN :"schema"."Instance" AS instance ON instance."id" = holder.instance_id
WHERE
    target."id" = :'to'
    AND :'across' = ''
GROUP BY
    target."instanceId", owner."name";

-- Whose settings and bots these are, of every instance.
SELECT
    pg_catalog.format(
        CASE WHEN :'to' = '' THEN 'instance %s loses %s' ELSE 'instance %s uses credential %3$s from then on, in %2$s' END,
        COALESCE(instance."name", held.instance_id),
        pg_catalog.concat_ws(
            ' and ',
            CASE WHEN held.settings > 0 THEN 'its OpenAI settings' END,
            CASE WHEN held.bots > 0 THEN pg_catalog.format('%s %s', CASE held.bots WHEN 1 THEN 'the bot' ELSE 'the bots' END, held.names) END
        ),
        :'to'
    ) AS note
FROM
    (
        SELECT
            holder.instance_id,
            pg_catalog.count(*) FILTER (WHERE NOT holder.is_bot) AS settings,
            pg_catalog.count(*) FILTER (WHERE holder.is_bot) AS bots,
            pg_catalog.string_agg(holder.name, ', ' ORDER BY holder.name) FILTER (WHERE holder.is_bot) AS names
        FROM
            (
                SELECT setting."instanceId" AS instance_id, false AS is_bot, setting."id" AS name
                FROM :"schema"."OpenaiSetting" AS setting
                WHERE setting."openaiCredsId" = :'credential'
                UNION ALL
                SELECT bot."instanceId", true, bot."id"
                FROM :"schema"."OpenaiBot" AS bot
                WHERE bot."openaiCredsId" = :'credential'
            ) AS holder
        GROUP BY
            holder.instance_id
    ) AS held
    LEFT JOIN :"schema"."Instance" AS instance ON instance."id" = held.instance_id
ORDER BY
    instance."name", held.instance_id;

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
    ) AS holder
-- only with IntegrationSession.botId
UNION ALL
SELECT
    'IntegrationSession',
    pg_catalog.jsonb_build_object('id', session."id"),
    CAST(NULL AS jsonb),
    'its bot goes'
FROM
    :"schema"."IntegrationSession" AS session
    JOIN :"schema"."OpenaiBot" AS bot ON bot."id" = session."botId"
WHERE
    bot."openaiCredsId" = :'credential'
    AND :'to' = ''
-- end
;
