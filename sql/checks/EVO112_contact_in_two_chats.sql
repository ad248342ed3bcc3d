-- code: EVO112
-- name: contact-in-two-chats
-- title: contacts split into two chats
-- severity: advice
-- consequence: wrong-results
-- releases: 2.3.0..
-- summary: a contact has two chats, one of them under a hidden identity (@lid)
-- why: WhatsApp gives a contact a second, hidden identity that ends in @lid. Messages that came under it went into a chat of
--   their own, so the history of one person is split into two chats, bots and agents see half of it, and the contact is listed
--   twice. Only pairs that are certain from the database are counted: both identities of one person in
--   "IsOnWhatsapp"."jidOptions", or in one message's "key" ("remoteJid" beside "remoteJidAlt", which servers write since 2.3.3).
--   Chats without such evidence are not judged. No release merges such chats. The fix does, but runs only when it is named:
--   evodoctor fix EVO112.
-- detail: {count} of {chats} chats of this instance with one person {count:is|are} under a hidden identity (@lid), and the same
--   person has a chat under the number{unclear}
-- fix: quarantine
-- judges: Chat
-- matches: @lid … @s.whatsapp.net
-- matches: two chats for the same contact
-- answers: text="@lid … duplicate chat"
-- answers: text="remoteJid … @lid … remoteJidAlt"
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
split AS (
    SELECT proof."instanceId", proof."id", proof.lid, pg_catalog.array_agg(DISTINCT chat."remoteJid"::text) AS numbers
    FROM
        proof
        JOIN :"schema"."Chat" AS chat ON chat."instanceId" = proof."instanceId" AND chat."remoteJid" = proof.jid
    WHERE
        proof.jid LIKE '%@s.whatsapp.net'
    GROUP BY
        proof."instanceId", proof."id", proof.lid
),
counted AS (
    SELECT
        split."instanceId",
        pg_catalog.count(*) AS count,
        pg_catalog.count(*) FILTER (WHERE pg_catalog.cardinality(split.numbers) > 1) AS unclear,
        pg_catalog.string_agg(pg_catalog.quote_literal(split."id"), ', ' ORDER BY split."id") AS ids,
        pg_catalog.jsonb_agg(
            pg_catalog.jsonb_build_object('id', split."id", 'lid', split.lid, 'numbers', split.numbers) ORDER BY split."id"
        ) AS sample
    FROM split
    GROUP BY split."instanceId"
)
SELECT
    pg_catalog.format('Chat %s', pg_catalog.to_json(COALESCE(instance."name"::text, counted."instanceId"))) AS subject,
    pg_catalog.jsonb_build_object(
        'chats', totals.count,
        'unclear', CASE WHEN counted.unclear > 0 THEN pg_catalog.format('; for %s of them under several numbers', counted.unclear) END
    ) AS "values",
    CASE WHEN counted.count <= 1000 THEN pg_catalog.format('"id" IN (%s)', counted.ids) END AS predicate,
    counted.count AS count,
    pg_catalog.jsonb_path_query_array(counted.sample, '$[0 to 4]') AS sample,
    counted."instanceId" AS key,
    counted.unclear < counted.count AS fixable
FROM
    counted
    LEFT JOIN :"schema"."Instance" AS instance ON instance."id" = counted."instanceId"
    CROSS JOIN LATERAL (
        SELECT pg_catalog.count(*) AS count
        FROM :"schema"."Chat" AS chat
        WHERE
            chat."instanceId" = counted."instanceId"
            AND (chat."remoteJid" LIKE '%@lid' OR chat."remoteJid" LIKE '%@s.whatsapp.net')
    ) AS totals
ORDER BY
    counted.count DESC, counted."instanceId";
