-- code: EVO102
-- name: unconstrained-reference
-- title: rows of deleted bots or labels
-- severity: warning
-- consequence: wrong-results
-- releases: 2.0.9..
-- summary: rows refer to deleted bots, labels or messages, and no foreign key prevents it
-- why: Three references have no foreign key, so deleting what they refer to leaves orphaned rows behind. A session of a deleted
--   bot keeps its contact with that bot: as long as it is not closed, no other bot answers. Chats keep the labels that were
--   deleted, and GET /chat/findChats shows them. Status updates of deleted messages only take disk space. Sessions without a
--   type, or of a type that Evolution does not know, are not judged.
-- detail: {count:1 row refers|# rows refer} to {what}
-- fix: quarantine
-- matches: session of deleted bot
-- matches: botId … not found
-- matches: stale label
-- matches: deleted label … chat
-- joins: hash
-- What is gone is counted by its ids, and only the rows of the examples are looked at. The updates, whose messages no index leads
-- to, are found in a way that is chosen by the size of the tables (src/checks/orphans/message_key_hash.rs): a file in sql/orphans/ is put
-- in for :updates, one row of count and sample.
-- Run by hand:
--   psql -v schema=public -v updates='SELECT 0 AS count, NULL::jsonb AS sample'
--     -v bots="$(sed 's/;$//' sql/catalog/bots.sql)" -v deleted_bot_condition="$(sed 's/;$//' sql/catalog/deleted_bot_condition.sql)"
--     -v bot_types="$(sed -n 's/^-- types: //p' sql/catalog/bots.sql)" -v bot_tables="$(sed -n 's/^-- tables: //p' sql/catalog/bots.sql)"
WITH bot AS (
    :bots
),
stale_chat AS MATERIALIZED (
    SELECT held."id"
    FROM
        (
            SELECT chat."id", chat."instanceId", element.value #>> '{}' AS label
            FROM
                :"schema"."Chat" AS chat
                CROSS JOIN LATERAL pg_catalog.jsonb_array_elements(
                    CASE WHEN pg_catalog.jsonb_typeof(chat."labels") = 'array' THEN chat."labels" ELSE '[]' END
                ) AS element (value)
            WHERE
                -- Most chats have none, and need not be taken apart.
                chat."labels" <> '[]'
                AND pg_catalog.jsonb_typeof(element.value) NOT IN ('object', 'array')
        ) AS held
    WHERE
        NOT EXISTS (
            SELECT FROM :"schema"."Label" AS label WHERE label."instanceId" = held."instanceId" AND label."labelId" = held.label
        )
    GROUP BY
        held."id"
),
-- only with IntegrationSession.botId
stale_session AS MATERIALIZED (
    SELECT session."id"
    FROM
        :"schema"."IntegrationSession" AS session
    WHERE
        session."type" IN (:bot_types)
        AND session."botId" IS NOT NULL
        AND NOT EXISTS (SELECT FROM bot WHERE bot."id" = session."botId")
),
-- end
lost (key, what, predicate, count, sample) AS (
    SELECT
        'Chat.labels -> Label',
        'labels that the instance does not have',
        pg_catalog.format(
            'EXISTS (SELECT FROM pg_catalog.jsonb_array_elements(CASE WHEN pg_catalog.jsonb_typeof("labels") = ''array'' THEN "labels" ELSE ''[]'' END)'
                ' AS element (value) WHERE pg_catalog.jsonb_typeof(element.value) NOT IN (''object'', ''array'') AND NOT EXISTS (SELECT FROM %1$I."Label" AS label'
                ' WHERE label."instanceId" = "Chat"."instanceId" AND label."labelId" = element.value #>> ''{}''))',
            :'schema'
        ),
        (SELECT pg_catalog.count(*) FROM stale_chat),
        (
            SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(example) ORDER BY example."id")
            FROM
                (
                    SELECT chat."id", chat."remoteJid", chat."labels", chat."instanceId"
                    FROM :"schema"."Chat" AS chat
                    WHERE chat."id" = ANY (ARRAY(SELECT stale_chat."id" FROM stale_chat ORDER BY stale_chat."id" LIMIT 5))
                    LIMIT 5
                ) AS example
        )
    UNION ALL
    SELECT
        'MessageUpdate.keyId -> Message',
        'messages that do not exist',
        pg_catalog.format(
            'NOT EXISTS (SELECT FROM %I."Message" AS message WHERE message."key" ->> ''id'' = "MessageUpdate"."keyId" AND message."instanceId" = "MessageUpdate"."instanceId")',
            :'schema'
        ),
        entry.count,
        entry.sample
    FROM
        (:updates) AS entry
    -- only with IntegrationSession.botId
    UNION ALL
    SELECT
        'IntegrationSession.botId -> bot',
        'bots that were deleted',
        (:deleted_bot_condition),
        (SELECT pg_catalog.count(*) FROM stale_session),
        (
            SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(example) - 'parameters' - 'context' ORDER BY example."id")
            FROM
                (
                    SELECT session.*
                    FROM :"schema"."IntegrationSession" AS session
                    WHERE session."id" = ANY (ARRAY(SELECT stale_session."id" FROM stale_session ORDER BY stale_session."id" LIMIT 5))
                    LIMIT 5
                ) AS example
        )
    -- end
)
SELECT
    lost.key AS subject,
    pg_catalog.jsonb_build_object('what', lost.what) AS "values",
    lost.predicate AS predicate,
    lost.count AS count,
    lost.sample AS sample,
    lost.key AS key
FROM
    lost
WHERE
    lost.count > 0
ORDER BY
    lost.key;
