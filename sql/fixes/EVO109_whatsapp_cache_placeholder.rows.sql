-- code: EVO109
-- version: 1
-- applicability: quarantine
-- hazards: deletes-rows
-- tables: IsOnWhatsapp
-- after 2.1.1..: the cache is filled again as numbers are asked for. The server may write the placeholder again.
SELECT
    'IsOnWhatsapp' AS "table",
    pg_catalog.jsonb_build_object('id', cached."id") AS "key",
    CAST(NULL AS jsonb) AS "change",
    'it is nobody''s number' AS "reason"
FROM
    :"schema"."IsOnWhatsapp" AS cached
WHERE
    cached."remoteJid" = '0@s.whatsapp.net';
