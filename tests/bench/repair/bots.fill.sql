-- :rows open sessions of bots that were deleted, beside as many messages without a session.
INSERT INTO "IntegrationSession" ("id", "sessionId", "remoteJid", "status", "awaitUser", "instanceId", "botId", "type", "updatedAt")
SELECT 's' || pg_catalog.md5(n::text), n || '', n || '@s.whatsapp.net', 'opened', false, 'i1', 'bot' || n, 'typebot', pg_catalog.now()
FROM pg_catalog.generate_series(1, :rows) AS n;

INSERT INTO "Message" ("id", "key", "messageType", "message", "source", "messageTimestamp", "instanceId")
SELECT
    'm' || pg_catalog.md5(n::text), pg_catalog.jsonb_build_object('id', 'k' || n, 'fromMe', true), 'conversation',
    pg_catalog.jsonb_build_object('conversation', pg_catalog.repeat('words ', 10)), 'android', n, 'i1'
FROM pg_catalog.generate_series(1, :rows) AS n;
