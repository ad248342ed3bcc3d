-- code: EVO614
-- name: wrong-chat-survives
-- title: upgrade removes the wrong chats
-- severity: error
-- consequence: loses-data
-- releases: 2.0.0-beta..2.3.6
-- migration: 20251122003044
-- summary: the upgrade to 2.3.7 removes duplicate chats, often the wrong ones
-- why: Labels, names and unread counts of chats are lost in the upgrade. Before chats become unique per instance, upstream keeps
--   the row that was updated last, but sorts rows that were never updated in front of all others: such a row stays, and the newer
--   one with the labels is deleted. The fix merges them before the upgrade, and keeps everything.
-- detail twice: {chats:1 chat is|# chats are} there more than once; {count:1 row is|# rows are} removed
-- detail wrong: the wrong row of {count:1 chat|# chats} stays: labels are lost in {labels}, the row that was updated last in
--   {newer}; the choice is arbitrary in {arbitrary}
-- fix: quarantine
-- matches: 20251122003044_add_chat_instance_remotejid_unique
-- answers: migration=20251122003044 message=index-not-created
-- answers: migration=20251122003044
WITH chat AS (
    SELECT
        target.*,
        pg_catalog.count(*) OVER same AS count,
        pg_catalog.row_number() OVER (same ORDER BY target."updatedAt" DESC) AS place,
        -- Rows that are equal in this are in no order: which one stays is chance.
        pg_catalog.rank() OVER (same ORDER BY target."updatedAt" DESC) AS rank,
        pg_catalog.max(target."updatedAt") OVER same AS newest
    FROM
        (
            SELECT
                one."id", one."instanceId", one."remoteJid", one."updatedAt",
                CASE pg_catalog.jsonb_typeof(one."labels") WHEN 'array' THEN one."labels" ELSE '[]'::jsonb END AS labels
            FROM :"schema"."Chat" AS one
        ) AS target
    WINDOW same AS (PARTITION BY target."instanceId", target."remoteJid")
),
judged AS (
    SELECT
        chat."instanceId",
        chat."remoteJid",
        chat.count,
        pg_catalog.max(chat."id") FILTER (WHERE chat.place = 1) AS stays,
        pg_catalog.count(*) FILTER (WHERE chat.rank = 1) > 1 AS by_chance,
        COALESCE(pg_catalog.bool_or(chat."updatedAt" IS NULL) AND pg_catalog.bool_or(chat."updatedAt" IS NOT NULL), false) AS loses_newer,
        pg_catalog.bool_or(chat.rank > 1 AND NOT chat.labels <@ kept.labels)
            OR pg_catalog.count(DISTINCT chat.labels) FILTER (WHERE chat.rank = 1) > 1 AS loses_labels
    FROM
        chat
        JOIN chat AS kept USING ("instanceId", "remoteJid")
    WHERE
        chat.count > 1
        AND kept.place = 1
    GROUP BY
        chat."instanceId", chat."remoteJid", chat.count
)
SELECT
    'Chat' AS subject,
    'twice' AS form,
    pg_catalog.jsonb_build_object('chats', pg_catalog.count(*)) AS "values",
    pg_catalog.format(
        '"id" IN (SELECT "id" FROM (SELECT "id", pg_catalog.row_number() OVER (PARTITION BY "instanceId", "remoteJid" ORDER BY "updatedAt" DESC) AS place '
        'FROM %I."Chat") AS ranked WHERE place > 1)', :'schema'
    ) AS predicate,
    pg_catalog.sum(judged.count - 1)::bigint AS count,
    (
        SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(example))
        FROM (SELECT * FROM judged AS one ORDER BY one.count DESC, one."remoteJid" LIMIT 5) AS example
    ) AS sample,
    'Chat.twice' AS key,
    'removes-rows' AS effect,
    'Chat' AS "table",
    ARRAY[pg_catalog.format('evodoctor fix EVO614 --to %s --apply --allow deletes-rows,changes-rows', :'target')] AS before,
    'warning' AS severity
FROM
    judged
HAVING
    pg_catalog.count(*) > 0
UNION ALL
SELECT
    'Chat',
    'wrong',
    pg_catalog.jsonb_build_object(
        'labels', pg_catalog.count(*) FILTER (WHERE judged.loses_labels),
        'newer', pg_catalog.count(*) FILTER (WHERE judged.loses_newer),
        'arbitrary', pg_catalog.count(*) FILTER (WHERE judged.by_chance)
    ),
    NULL,
    pg_catalog.count(*),
    (
        SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(example))
        FROM
            (
                SELECT * FROM judged AS one
                WHERE one.loses_labels OR one.loses_newer
                ORDER BY one."instanceId", one."remoteJid" LIMIT 5
            ) AS example
    ),
    'Chat.wrong',
    NULL,
    NULL,
    ARRAY[pg_catalog.format('evodoctor fix EVO614 --to %s --apply --allow deletes-rows,changes-rows', :'target')],
    'error'
FROM
    judged
WHERE
    judged.loses_labels
    OR judged.loses_newer
HAVING
    pg_catalog.count(*) > 0;
