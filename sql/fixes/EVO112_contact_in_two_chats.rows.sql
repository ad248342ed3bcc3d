-- code: EVO112
-- version: 1
-- applicability: quarantine
-- hazards: deletes-rows changes-rows
-- only: named
-- tables: Chat Contact IntegrationSession Message MessageUpdate
-- after 2.3.0..: findChats and findMessages show the person once, under the number; no restart is needed. What the server does with
--   the next message under the hidden identity depends on the release: one that stores it as it comes makes a second chat again,
--   so go to the newest release that you can run first. It has not been tried with a server: look at one contact afterwards, and
--   undo brings everything back.
-- A hidden identity is taken up by the chat under the number where exactly one chat of the instance fits. The chat under the number
-- stays. It takes the labels of all, a name where it has none, and the unread count of the one that changed last. Messages,
-- sessions and status updates go along; a message keeps the hidden identity as its other one.
WITH hidden AS (
    SELECT chat."id", chat."instanceId", chat."remoteJid" AS lid
    FROM :"schema"."Chat" AS chat
    WHERE chat."remoteJid" LIKE '%@lid'
),
-- A list that names several hidden identities does not say which of its numbers is whose.
listed AS (
    SELECT
        (pg_catalog.array_agg(part.jid) FILTER (WHERE part.jid LIKE '%@lid'))[1] AS lid,
        pg_catalog.array_agg(part.jid) FILTER (WHERE part.jid LIKE '%@s.whatsapp.net') AS numbers
    FROM
        :"schema"."IsOnWhatsapp" AS cached
        CROSS JOIN LATERAL (
            SELECT DISTINCT pg_catalog.btrim(option.jid) AS jid
            FROM pg_catalog.unnest(pg_catalog.string_to_array(cached."jidOptions", ',') || cached."remoteJid"::text) AS option (jid)
        ) AS part
    WHERE
        cached."jidOptions" LIKE '%@lid%' OR cached."remoteJid" LIKE '%@lid'
    GROUP BY
        cached."id"
    HAVING
        pg_catalog.count(*) FILTER (WHERE part.jid LIKE '%@lid') = 1
),
proof AS (
    SELECT hidden."id", hidden."instanceId", hidden.lid, number.jid
    FROM
        hidden
        JOIN listed ON listed.lid = hidden.lid
        CROSS JOIN LATERAL pg_catalog.unnest(listed.numbers) AS number (jid)
    UNION
    SELECT
        hidden."id", hidden."instanceId", hidden.lid,
        pg_catalog.regexp_replace(
            CASE WHEN message."key" ->> 'remoteJid' LIKE '%@lid' THEN message."key" ->> 'remoteJidAlt' ELSE message."key" ->> 'remoteJid' END,
            ':[0-9]+@', '@'
        )
    FROM
        hidden
        JOIN :"schema"."Message" AS message
            ON message."instanceId" = hidden."instanceId"
            AND hidden.lid = pg_catalog.regexp_replace(
                CASE WHEN message."key" ->> 'remoteJid' LIKE '%@lid' THEN message."key" ->> 'remoteJid' ELSE message."key" ->> 'remoteJidAlt' END,
                ':[0-9]+@', '@'
            )
    WHERE
        pg_catalog.jsonb_exists(message."key", 'remoteJidAlt')
),
matched AS (
    SELECT proof."instanceId", proof."id", proof.lid, pg_catalog.min(chat."id") AS kept, pg_catalog.min(chat."remoteJid") AS number
    FROM
        proof
        JOIN :"schema"."Chat" AS chat ON chat."instanceId" = proof."instanceId" AND chat."remoteJid" = proof.jid
    WHERE
        proof.jid LIKE '%@s.whatsapp.net'
    GROUP BY
        proof."instanceId", proof."id", proof.lid
    HAVING
        -- Two numbers, or a chat that is there twice (EVO103), are for a person to sort out first.
        pg_catalog.count(*) = 1
),
pair AS MATERIALIZED (
    SELECT matched.*
    FROM matched
    WHERE NOT EXISTS (
        SELECT FROM matched AS other
        WHERE other."instanceId" = matched."instanceId" AND other.lid = matched.lid AND other."id" <> matched."id"
    )
),
member AS (
    SELECT pair.kept, chat.*, chat."id" = pair.kept AS is_kept
    FROM
        (SELECT pair.kept, pair."id" FROM pair UNION SELECT pair.kept, pair.kept FROM pair) AS pair
        JOIN :"schema"."Chat" AS chat ON chat."id" = pair."id"
),
chat_change AS (
    SELECT
        member.kept,
        pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
            'unreadMessages', (pg_catalog.array_agg(member."unreadMessages" ORDER BY member."updatedAt" DESC NULLS LAST, member.is_kept DESC))[1],
            'name', COALESCE(
                pg_catalog.min(NULLIF(member."name", '')) FILTER (WHERE member.is_kept),
                (pg_catalog.array_agg(member."name" ORDER BY member."updatedAt" DESC NULLS LAST) FILTER (WHERE member."name" <> ''))[1]
            ),
            'updatedAt', pg_catalog.max(member."updatedAt"),
            'labels', (
                SELECT pg_catalog.jsonb_agg(DISTINCT element.value)
                FROM
                    member AS labelled
                    CROSS JOIN LATERAL pg_catalog.jsonb_array_elements(
                        CASE WHEN pg_catalog.jsonb_typeof(labelled."labels") = 'array' THEN labelled."labels" ELSE '[]' END
                    ) AS element (value)
                WHERE labelled.kept = member.kept
            )
        )) AS new
    FROM member
    GROUP BY member.kept
)
SELECT
    'Chat' AS "table",
    pg_catalog.jsonb_build_object('id', pair."id") AS "key",
    CAST(NULL AS jsonb) AS "change",
    'the same person has a chat under the number' AS "reason"
FROM
    pair
UNION ALL
SELECT
    'Chat', pg_catalog.jsonb_build_object('id', chat_change.kept), chat_change.new, 'takes over what the chat under the hidden identity had'
FROM
    chat_change
    JOIN :"schema"."Chat" AS chat ON chat."id" = chat_change.kept
WHERE
    NOT pg_catalog.to_jsonb(chat) @> chat_change.new
UNION ALL
SELECT
    'Contact', pg_catalog.jsonb_build_object('id', contact."id"),
    CASE WHEN known."id" IS NULL THEN pg_catalog.jsonb_build_object('remoteJid', pair.number) END,
    CASE WHEN known."id" IS NULL THEN 'is listed under the number' ELSE 'the same person is listed under the number' END
FROM
    pair
    JOIN :"schema"."Contact" AS contact ON contact."instanceId" = pair."instanceId" AND contact."remoteJid" = pair.lid
    LEFT JOIN LATERAL (
        SELECT other."id"
        FROM :"schema"."Contact" AS other
        WHERE other."instanceId" = pair."instanceId" AND other."remoteJid" = pair.number
        LIMIT 1
    ) AS known ON true
WHERE
    -- Of two hidden identities of one person the first may take the number's place.
    known."id" IS NOT NULL
    OR NOT EXISTS (
        SELECT FROM pair AS first
        JOIN :"schema"."Contact" AS twin ON twin."instanceId" = first."instanceId" AND twin."remoteJid" = first.lid
        WHERE first.kept = pair.kept AND first.lid < pair.lid
    )
UNION ALL
SELECT
    'Message', pg_catalog.jsonb_build_object('id', message."id"),
    pg_catalog.jsonb_build_object(
        'key', message."key" || pg_catalog.jsonb_build_object('remoteJid', pair.number, 'remoteJidAlt', message."key" ->> 'remoteJid')
    ),
    'belongs to the chat under the number'
FROM
    pair
    JOIN :"schema"."Message" AS message ON message."instanceId" = pair."instanceId" AND message."key" ->> 'remoteJid' = pair.lid
UNION ALL
SELECT
    'IntegrationSession', pg_catalog.jsonb_build_object('id', session."id"), pg_catalog.jsonb_build_object('remoteJid', pair.number),
    'belongs to the contact under the number'
FROM
    pair
    JOIN :"schema"."IntegrationSession" AS session ON session."instanceId" = pair."instanceId" AND session."remoteJid" = pair.lid
UNION ALL
SELECT
    'MessageUpdate', pg_catalog.jsonb_build_object('id', entry."id"), pg_catalog.jsonb_build_object('remoteJid', pair.number),
    'belongs to the chat under the number'
FROM
    pair
    JOIN :"schema"."MessageUpdate" AS entry ON entry."instanceId" = pair."instanceId" AND entry."remoteJid" = pair.lid;
