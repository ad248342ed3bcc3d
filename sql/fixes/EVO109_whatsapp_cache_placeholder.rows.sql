-- code: EVO109
-- version: 2
-- applicability: quarantine
-- hazards: deletes-rows
-- tables: IsOnWhatsapp
-- after 2.1.1..: the cache is filled again as numbers are asked for. The server may write the placeholder again.
-- Of the rows that name one number the newest stays.
WITH option AS (
    SELECT DISTINCT
        cached."id",
        cached."updatedAt",
        pg_catalog.btrim(part.jid) AS jid
    FROM
        :"schema"."IsOnWhatsapp" AS cached
        CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.string_to_array(cached."jidOptions", ',')) AS part (jid)
    WHERE
        cached."remoteJid" <> '0@s.whatsapp.net'
        AND pg_catalog.btrim(part.jid) <> ''
),
ranked AS (
    SELECT
        option."id",
        pg_catalog.row_number() OVER (PARTITION BY option.jid ORDER BY option."updatedAt" DESC, option."id") AS position
    FROM
        option
)
SELECT
    'IsOnWhatsapp' AS "table",
    pg_catalog.jsonb_build_object('id', cached."id") AS "key",
    CAST(NULL AS jsonb) AS "change",
    'it is nobody''s number' AS "reason"
FROM
    :"schema"."IsOnWhatsapp" AS cached
WHERE
    cached."remoteJid" = '0@s.whatsapp.net'
UNION ALL
SELECT DISTINCT
    'IsOnWhatsapp',
    pg_catalog.jsonb_build_object('id', ranked."id"),
    CAST(NULL AS jsonb),
    'a newer row has one of its numbers'
FROM
    ranked
WHERE
    ranked.position > 1;
