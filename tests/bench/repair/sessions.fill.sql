-- :rows sessions of a deleted instance, and as many messages, every other of which belongs to one.
INSERT INTO "IntegrationSession" ("id", "sessionId", "remoteJid", "status", "awaitUser", "instanceId", "updatedAt")
SELECT 's' || pg_catalog.md5(n::text), n || '', n || '@s.whatsapp.net', 'closed', false, 'gone', pg_catalog.now()
FROM pg_catalog.generate_series(1, :rows) AS n;

INSERT INTO "Message" ("id", "key", "messageType", "message", "source", "messageTimestamp", "instanceId", "sessionId")
SELECT
    'm' || pg_catalog.md5(n::text), pg_catalog.jsonb_build_object('id', 'k' || n, 'fromMe', true), 'conversation',
    pg_catalog.jsonb_build_object('conversation', pg_catalog.repeat('words ', 10)), 'android', n, 'i1',
    CASE WHEN n % 2 = 0 THEN 's' || pg_catalog.md5(n::text) END
FROM pg_catalog.generate_series(1, :rows) AS n;
