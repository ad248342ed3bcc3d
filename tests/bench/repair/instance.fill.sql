-- :rows rows of a deleted instance in each of four tables, beside as many of others.
INSERT INTO "Message" ("id", "key", "messageType", "message", "source", "messageTimestamp", "instanceId")
SELECT
    'm' || pg_catalog.md5(n::text), pg_catalog.jsonb_build_object('id', 'k' || n, 'fromMe', true), 'conversation',
    pg_catalog.jsonb_build_object('conversation', pg_catalog.repeat('words ', 10)), 'android', n,
    CASE WHEN n <= :rows THEN 'gone' ELSE 'i' || (n % 50 + 1) END
FROM pg_catalog.generate_series(1, 2 * :rows) AS n;

INSERT INTO "MessageUpdate" ("id", "keyId", "remoteJid", "fromMe", "status", "messageId", "instanceId")
SELECT
    'u' || pg_catalog.md5(n::text), 'k' || n, '5511@s.whatsapp.net', true, 'READ', 'm' || pg_catalog.md5(n::text),
    CASE WHEN n <= :rows THEN 'gone' ELSE 'i' || (n % 50 + 1) END
FROM pg_catalog.generate_series(1, 2 * :rows) AS n;

INSERT INTO "Media" ("id", "fileName", "type", "mimetype", "messageId", "instanceId")
SELECT
    'd' || pg_catalog.md5(n::text), 'file ' || n, 'image', 'image/jpeg', 'm' || pg_catalog.md5(n::text),
    CASE WHEN n <= :rows THEN 'gone' ELSE 'i' || (n % 50 + 1) END
FROM pg_catalog.generate_series(1, 2 * :rows) AS n;

INSERT INTO "Contact" ("id", "remoteJid", "pushName", "instanceId")
SELECT
    'c' || pg_catalog.md5(n::text), n || '@s.whatsapp.net', 'name ' || n,
    CASE WHEN n <= :rows THEN 'gone' ELSE 'i' || (n % 50 + 1) END
FROM pg_catalog.generate_series(1, 2 * :rows) AS n;
