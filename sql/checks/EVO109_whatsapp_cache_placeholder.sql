-- code: EVO109
-- name: whatsapp-cache-placeholder
-- severity: warning
-- releases: 2.1.1..
-- summary: the cache of WhatsApp numbers holds a placeholder that makes writes fail
-- why: The log fills with P2002, "Unique constraint failed on the fields: (`remoteJid`)", from the cache of numbers that are
--   on WhatsApp, and what asked for a number fails with it. The row 0@s.whatsapp.net is nobody's number: it is written
--   whenever a number is unknown, and the second time its key is taken. The table is a cache, so nothing is lost with
--   the row.
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
SELECT
    'IsOnWhatsapp' AS subject,
    'the cache of WhatsApp numbers holds 0@s.whatsapp.net, which is nobody''s number' AS detail,
    '"remoteJid" = ''0@s.whatsapp.net''' AS predicate,
    pg_catalog.count(*) AS count,
    pg_catalog.jsonb_agg(pg_catalog.to_jsonb(cached)) AS sample,
    '0@s.whatsapp.net' AS key
FROM
    (SELECT * FROM :"schema"."IsOnWhatsapp" WHERE "remoteJid" = '0@s.whatsapp.net') AS cached
HAVING
    pg_catalog.count(*) > 0;
