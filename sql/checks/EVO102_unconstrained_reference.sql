-- code: EVO102
-- name: unconstrained-reference
-- severity: warning
-- releases: 2.0.9..
-- summary: rows refer to bots, labels or messages that are gone, where no key forbids it
-- why: Three references have no foreign key, so deleting what they point at leaves them behind. A session of a deleted
--   bot keeps its contact with that bot: as long as it is not closed, no other bot answers. Chats keep the labels that
--   were deleted, and GET /chat/findChats shows them. Status updates of messages that are gone only take room.
--   Sessions without a type, or of a type that Evolution does not know, are not judged.
-- fix: quarantine
-- matches: session of deleted bot
-- matches: botId … not found
-- matches: stale label
-- matches: deleted label … chat
-- Run by hand:
-- psql -v schema=public -v gone='NOT EXISTS (SELECT FROM "public"."Message" AS message
-- WHERE message."key" ->> ''id'' = entry."keyId" AND message."instanceId" = entry."instanceId")'
WITH bot AS (
    SELECT "id" FROM :"schema"."Typebot"
    UNION ALL SELECT "id" FROM :"schema"."OpenaiBot"
    UNION ALL SELECT "id" FROM :"schema"."Dify"
    -- only with EvolutionBot
    UNION ALL SELECT "id" FROM :"schema"."EvolutionBot"
    -- end
    -- only with Flowise
    UNION ALL SELECT "id" FROM :"schema"."Flowise"
    -- end
    -- only with N8n
    UNION ALL SELECT "id" FROM :"schema"."N8n"
    -- end
    -- only with Evoai
    UNION ALL SELECT "id" FROM :"schema"."Evoai"
    -- end
),
lost (key, what, predicate, id, row) AS (
    SELECT
        'Chat.labels -> Label',
        'labels that the instance does not have',
        pg_catalog.format(
            'EXISTS (SELECT FROM pg_catalog.jsonb_array_elements(CASE WHEN pg_catalog.jsonb_typeof("labels") = ''array'' THEN "labels" ELSE ''[]'' END)'
                ' AS element (value) WHERE pg_catalog.jsonb_typeof(element.value) NOT IN (''object'', ''array'') AND NOT EXISTS (SELECT FROM %1$I."Label" AS label'
                ' WHERE label."instanceId" = "Chat"."instanceId" AND label."labelId" = element.value #>> ''{}''))',
            :'schema'
        ),
        chat."id",
        pg_catalog.jsonb_build_object('id', chat."id", 'remoteJid', chat."remoteJid", 'labels', chat."labels", 'instanceId', chat."instanceId")
    FROM
        :"schema"."Chat" AS chat
    WHERE
        EXISTS (
            SELECT
            FROM
                pg_catalog.jsonb_array_elements(CASE WHEN pg_catalog.jsonb_typeof(chat."labels") = 'array' THEN chat."labels" ELSE '[]' END) AS element (value)
            WHERE
                pg_catalog.jsonb_typeof(element.value) NOT IN ('object', 'array')
                -- Asked like this the server makes one hash of all labels; as an anti-join it would read them for every chat.
                AND (
                    (chat."instanceId", element.value #>> '{}') IN (
                        SELECT label."instanceId", label."labelId" FROM :"schema"."Label" AS label WHERE label."labelId" IS NOT NULL
                    )
                ) IS NOT TRUE
        )
    UNION ALL
    SELECT
        'MessageUpdate.keyId -> Message',
        'messages that are gone',
        pg_catalog.format(
            'NOT EXISTS (SELECT FROM %I."Message" AS message WHERE message."key" ->> ''id'' = "MessageUpdate"."keyId" AND message."instanceId" = "MessageUpdate"."instanceId")',
            :'schema'
        ),
        entry."id",
        pg_catalog.to_jsonb(entry) - 'pollUpdates'
    FROM
        :"schema"."MessageUpdate" AS entry
    WHERE
        -- How that is found is chosen by the size of the tables: src/examine/orphans/by_hash.rs.
        :gone
    -- only with IntegrationSession.botId
    UNION ALL
    SELECT
        'IntegrationSession.botId -> bot',
        'bots that were deleted',
        pg_catalog.concat(
            '"type" IN (''typebot'', ''openai'', ''dify'', ''evolution'', ''flowise'', ''n8n'', ''evoai'') AND "botId" NOT IN (',
            (SELECT pg_catalog.string_agg(pg_catalog.format('SELECT "id" FROM %I.%I', :'schema', relname), ' UNION ALL ')
            FROM pg_catalog.pg_class
            WHERE
                relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = :'schema') AND relkind IN ('r', 'p')
                AND relname IN ('Typebot', 'OpenaiBot', 'Dify', 'EvolutionBot', 'Flowise', 'N8n', 'Evoai')),
            ')'
        ),
        session."id",
        pg_catalog.to_jsonb(session) - 'parameters' - 'context'
    FROM
        :"schema"."IntegrationSession" AS session
    WHERE
        session."type" IN ('typebot', 'openai', 'dify', 'evolution', 'flowise', 'n8n', 'evoai')
        AND session."botId" IS NOT NULL
        AND NOT EXISTS (SELECT FROM bot WHERE bot."id" = session."botId")
    -- end
)
SELECT
    numbered.key AS subject,
    pg_catalog.format('%s to %s', CASE pg_catalog.count(*) WHEN 1 THEN '1 row refers' ELSE pg_catalog.count(*) || ' rows refer' END, numbered.what) AS detail,
    numbered.predicate AS predicate,
    pg_catalog.count(*) AS count,
    pg_catalog.jsonb_agg(numbered.row ORDER BY numbered.position) FILTER (WHERE numbered.position <= 5) AS sample,
    numbered.key AS key
FROM
    (SELECT lost.*, pg_catalog.row_number() OVER (PARTITION BY lost.key ORDER BY lost.id) AS position FROM lost) AS numbered
GROUP BY
    numbered.key, numbered.what, numbered.predicate
ORDER BY
    numbered.key;
