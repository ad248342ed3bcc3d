-- code: EVO105
-- name: half-deleted-instance
-- title: half-deleted instances
-- severity: warning
-- consequence: fails-requests
-- releases: 2.0.0-beta..
-- summary: an instance was deleted, but some of its rows are still there
-- why: DELETE /instance/delete answered 200 "Instance deleted", yet the instance stays. Until the server restarts,
--   connectionState answers 200 without a state, fetchInstances 404, and creating it again 403. After a restart 2.3.7 loads it
--   again, without its settings: connectionState answers 200 with a state, it is listed, creating it answers 403, and DELETE
--   answers 200 and leaves it again (both seen). The server deletes table by table without a transaction, so a restart in
--   between, or another instance's settings that hold its OpenAI credential, leave the rest behind. A row that was created by
--   hand looks the same, so deleting it is left to you. With the server stopped: DELETE FROM "Instance" WHERE "id" = 'ID' deletes
--   what is left; if the finding says that it is still blocked, point those settings at another credential first (EVO106), or let
--   EVO201's fix make the key cascade.
-- fix: manual
-- judges: Instance
-- matches: Instance deleted
-- matches: deleted instance … still
-- matches: 403 … is already in use
-- answers: text="This name … is already in use"
-- answers: http=403 text="is already in use"
-- answers: code=23505 constraint=Instance_name_key
-- answers: code=23505 model=Instance fields=name
-- joins: hash
WITH bare AS MATERIALIZED (
    SELECT instance."id", instance."name", instance."connectionStatus", instance."updatedAt"
    FROM :"schema"."Instance" AS instance
    WHERE
        -- One that a restarted server loads again may be connecting.
        instance."connectionStatus" <> 'open'
        AND NOT EXISTS (SELECT FROM :"schema"."Setting" AS setting WHERE setting."instanceId" = instance."id")
        AND NOT EXISTS (SELECT FROM :"schema"."Session" AS session WHERE session."sessionId" = instance."id")
),
-- The large tables are read once, not once for each instance, and not at all where there is nothing to ask.
empty AS MATERIALIZED (
    SELECT bare.*
    FROM
        bare
        LEFT JOIN (SELECT DISTINCT "instanceId" FROM :"schema"."Message" WHERE EXISTS (SELECT FROM bare)) AS used ON used."instanceId" = bare."id"
    WHERE used."instanceId" IS NULL
),
belonging (relation, id) AS (
    SELECT 'Chat', "instanceId" FROM :"schema"."Chat"
    UNION ALL SELECT 'Chatwoot', "instanceId" FROM :"schema"."Chatwoot"
    UNION ALL SELECT 'Contact', "instanceId" FROM :"schema"."Contact"
    UNION ALL SELECT 'Label', "instanceId" FROM :"schema"."Label"
    UNION ALL SELECT 'Media', "instanceId" FROM :"schema"."Media"
    UNION ALL SELECT 'MessageUpdate', "instanceId" FROM :"schema"."MessageUpdate"
    UNION ALL SELECT 'Proxy', "instanceId" FROM :"schema"."Proxy"
    UNION ALL SELECT 'Rabbitmq', "instanceId" FROM :"schema"."Rabbitmq"
    UNION ALL SELECT 'Sqs', "instanceId" FROM :"schema"."Sqs"
    UNION ALL SELECT 'Typebot', "instanceId" FROM :"schema"."Typebot"
    UNION ALL SELECT 'TypebotSetting', "instanceId" FROM :"schema"."TypebotSetting"
    UNION ALL SELECT 'Webhook', "instanceId" FROM :"schema"."Webhook"
    UNION ALL SELECT 'Websocket', "instanceId" FROM :"schema"."Websocket"
    -- only with OpenaiCreds
    UNION ALL SELECT 'OpenaiCreds', "instanceId" FROM :"schema"."OpenaiCreds"
    UNION ALL SELECT 'OpenaiBot', "instanceId" FROM :"schema"."OpenaiBot"
    UNION ALL SELECT 'OpenaiSetting', "instanceId" FROM :"schema"."OpenaiSetting"
    -- end
    -- only with Dify
    UNION ALL SELECT 'Dify', "instanceId" FROM :"schema"."Dify"
    UNION ALL SELECT 'DifySetting', "instanceId" FROM :"schema"."DifySetting"
    UNION ALL SELECT 'Template', "instanceId" FROM :"schema"."Template"
    -- end
    -- only with IntegrationSession
    UNION ALL SELECT 'IntegrationSession', "instanceId" FROM :"schema"."IntegrationSession"
    -- end
    -- only with EvolutionBot
    UNION ALL SELECT 'EvolutionBot', "instanceId" FROM :"schema"."EvolutionBot"
    UNION ALL SELECT 'Flowise', "instanceId" FROM :"schema"."Flowise"
    -- end
    -- only with N8n
    UNION ALL SELECT 'N8n', "instanceId" FROM :"schema"."N8n" UNION ALL SELECT 'Evoai', "instanceId" FROM :"schema"."Evoai"
    -- end
),
remains AS (
    SELECT
        counted.id,
        pg_catalog.string_agg(pg_catalog.format('%s %s', counted.count, counted.relation), ', ' ORDER BY counted.count DESC, counted.relation) AS list,
        pg_catalog.jsonb_object_agg(counted.relation, counted.count) AS counts
    FROM
        (
            SELECT belonging.id, belonging.relation, pg_catalog.count(*) AS count
            FROM belonging JOIN empty ON empty."id" = belonging.id
            WHERE EXISTS (SELECT FROM empty) GROUP BY belonging.id, belonging.relation
        ) AS counted
    GROUP BY counted.id
),
held (relation, holder, owner) AS (
    SELECT CAST(NULL AS text), CAST(NULL AS text), CAST(NULL AS text) WHERE false
    -- only with OpenaiCreds
    UNION ALL
    SELECT holding.relation, holding."instanceId", credential."instanceId"
    FROM
        :"schema"."OpenaiCreds" AS credential
        JOIN (
            SELECT 'OpenaiSetting' AS relation, "instanceId", "openaiCredsId" FROM :"schema"."OpenaiSetting"
            UNION ALL SELECT 'OpenaiBot', "instanceId", "openaiCredsId" FROM :"schema"."OpenaiBot"
        ) AS holding ON holding."openaiCredsId" = credential."id" AND holding."instanceId" <> credential."instanceId"
    -- end
),
blocked AS (
    SELECT held.owner, pg_catalog.string_agg(DISTINCT COALESCE(holder."name", held.holder), ', ') AS holders
    FROM
        held
        JOIN pg_catalog.pg_class AS child ON child.relname = held.relation
        JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = child.relnamespace AND namespace.nspname = :'schema'
        JOIN pg_catalog.pg_constraint AS key ON key.conrelid = child.oid AND key.contype = 'f' AND key.confdeltype IN ('r', 'a')
        JOIN pg_catalog.pg_class AS parent ON parent.oid = key.confrelid AND parent.relname = 'OpenaiCreds'
        LEFT JOIN :"schema"."Instance" AS holder ON holder."id" = held.holder
    GROUP BY held.owner
)
SELECT
    pg_catalog.format('Instance %s', pg_catalog.to_json(empty."name"::text)) AS subject,
    pg_catalog.format(
        '%s, without settings, session or messages; of the rest there is left: %s; deleting it %s',
        CASE empty."connectionStatus" WHEN 'close' THEN 'closed' ELSE empty."connectionStatus"::text END,
        COALESCE(remains.list, 'nothing'),
        COALESCE('is still blocked by what uses its OpenAI credential in ' || blocked.holders, 'would work now')
    ) AS detail,
    pg_catalog.format('"id" = %L', empty."id") AS predicate,
    CAST(1 AS bigint) AS count,
    pg_catalog.jsonb_build_array(pg_catalog.to_jsonb(empty) || pg_catalog.jsonb_build_object('left', COALESCE(remains.counts, '{}'))) AS sample,
    empty."id" AS key
FROM
    empty
    LEFT JOIN remains ON remains.id = empty."id"
    LEFT JOIN blocked ON blocked.owner = empty."id"
ORDER BY
    empty."name";
