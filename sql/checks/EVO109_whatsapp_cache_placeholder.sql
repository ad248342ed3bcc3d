-- code: EVO109
-- name: whatsapp-cache-placeholder
-- title: placeholder in the number cache
-- severity: warning
-- consequence: wrong-results
-- releases: 2.1.1..
-- summary: the cache of WhatsApp numbers holds a placeholder, or a number in two rows
-- why: The row 0@s.whatsapp.net is not a real number, and rows whose "jidOptions" overlap are the same number in two rows. The
--   log shows P2002, "Unique constraint failed on the fields: (`remoteJid`)", from the cache of numbers that are on WhatsApp: the
--   server updates one of two overlapping rows to the number of the other (23505), again with every look-up of that number. The
--   placeholder by itself gave no P2002 on 2.2.3 and 2.3.7, and two writes of one new number at the same moment do give one,
--   which is harmless: then there is no row to find. The table is a cache, so nothing is lost with a row of it.
-- detail placeholder: the cache of WhatsApp numbers holds 0@s.whatsapp.net, which is not a real number
-- detail overlapping: {count:1 row|# rows} of the cache {count:names|name} a number that a newer row has too
-- fix: quarantine
-- judges: IsOnWhatsapp
-- matches: IsOnWhatsapp_remoteJid_key
-- matches: P2002 … IsOnWhatsapp
-- matches: isOnWhatsapp … Unique constraint failed
-- matches: Unique constraint failed … `remoteJid`
-- matches: 0@s.whatsapp.net
-- answers: code=23505 fields=remoteJid
-- answers: code=23505 model=IsOnWhatsapp
-- answers: code=23505 constraint=IsOnWhatsapp_remoteJid_key
WITH option AS (
    SELECT
        cached."id",
        cached."remoteJid",
        cached."updatedAt",
        pg_catalog.btrim(part.jid) AS jid
    FROM
        :"schema"."IsOnWhatsapp" AS cached
        CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.string_to_array(cached."jidOptions", ',')) AS part (jid)
    WHERE
        cached."remoteJid" <> '0@s.whatsapp.net'
        AND pg_catalog.btrim(part.jid) <> ''
),
-- Of the rows that name one number the newest may stay.
ranked AS (
    SELECT
        option.*,
        pg_catalog.count(*) OVER (PARTITION BY option.jid) AS held,
        pg_catalog.row_number() OVER (PARTITION BY option.jid ORDER BY option."updatedAt" DESC, option."id") AS position
    FROM
        (SELECT DISTINCT option."id", option."remoteJid", option."updatedAt", option.jid FROM option) AS option
),
overlapping AS (
    SELECT ranked."id", pg_catalog.min(ranked."remoteJid") AS "remoteJid", pg_catalog.min(ranked.jid) AS jid
    FROM ranked
    WHERE ranked.held > 1 AND ranked.position > 1
    GROUP BY ranked."id"
)
SELECT
    'IsOnWhatsapp' AS subject,
    'placeholder' AS form,
    '"remoteJid" = ''0@s.whatsapp.net''' AS predicate,
    pg_catalog.count(*) AS count,
    pg_catalog.jsonb_agg(pg_catalog.to_jsonb(cached)) AS sample,
    '0@s.whatsapp.net' AS key
FROM
    (SELECT * FROM :"schema"."IsOnWhatsapp" WHERE "remoteJid" = '0@s.whatsapp.net') AS cached
HAVING
    pg_catalog.count(*) > 0
UNION ALL
SELECT
    'IsOnWhatsapp',
    'overlapping',
    CASE
        WHEN pg_catalog.count(*) <= 1000
            THEN pg_catalog.format('"id" IN (%s)', pg_catalog.string_agg(pg_catalog.quote_literal(overlapping."id"), ', ' ORDER BY overlapping."id"))
    END,
    pg_catalog.count(*),
    (
        SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(example))
        FROM (SELECT * FROM overlapping ORDER BY overlapping."id" LIMIT 5) AS example
    ),
    'jidOptions'
FROM
    overlapping
HAVING
    pg_catalog.count(*) > 0;
