-- :rows messages of a deleted instance, each with an update and a medium of a living one that hang on it.
INSERT INTO "Message" ("id", "key", "messageType", "message", "source", "messageTimestamp", "instanceId")
SELECT
    'm' || pg_catalog.md5(n::text), pg_catalog.jsonb_build_object('id', 'k' || n, 'fromMe', true), 'conversation',
    pg_catalog.jsonb_build_object('conversation', pg_catalog.repeat('words ', 10)), 'android', n, 'gone'
FROM pg_catalog.generate_series(1, :rows) AS n;

INSERT INTO "MessageUpdate" ("id", "keyId", "remoteJid", "fromMe", "status", "messageId", "instanceId")
SELECT 'u' || pg_catalog.md5(n::text), 'k' || n, '5511@s.whatsapp.net', true, 'READ', 'm' || pg_catalog.md5(n::text), 'i1'
FROM pg_catalog.generate_series(1, :rows) AS n;

INSERT INTO "Media" ("id", "fileName", "type", "mimetype", "messageId", "instanceId")
SELECT 'd' || pg_catalog.md5(n::text), 'file ' || n, 'image', 'image/jpeg', 'm' || pg_catalog.md5(n::text), 'i1'
FROM pg_catalog.generate_series(1, :rows) AS n;
