-- :rows messages whose status is still a number.
INSERT INTO "Message" ("id", "key", "messageType", "message", "source", "messageTimestamp", "instanceId", "status")
SELECT
    'm' || pg_catalog.md5(n::text), pg_catalog.jsonb_build_object('id', 'k' || n, 'fromMe', true), 'conversation',
    pg_catalog.jsonb_build_object('conversation', pg_catalog.repeat('words ', 10)), 'android', n, 'i1', (n % 6)::text
FROM pg_catalog.generate_series(1, :rows) AS n;
