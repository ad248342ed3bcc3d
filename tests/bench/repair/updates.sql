-- :rows status updates, of which :orphaned belong to messages that are gone. As left by a restore with its triggers off:
-- the key claims to be valid.
SET session_replication_role = replica;

INSERT INTO "Instance" ("id", "name")
SELECT 'i' || n, 'instance ' || n FROM pg_catalog.generate_series(1, 50) AS n;

INSERT INTO "Message" ("id", "key", "messageType", "message", "source", "messageTimestamp", "instanceId")
SELECT
    'm' || n,
    pg_catalog.jsonb_build_object('id', 'k' || n, 'fromMe', true),
    'conversation',
    pg_catalog.jsonb_build_object('conversation', pg_catalog.repeat('words ', 10)),
    'android',
    n,
    'i' || (n % 50 + 1)
FROM
    pg_catalog.generate_series(1, (:rows - :orphaned) / 2) AS n;

INSERT INTO "MessageUpdate" ("id", "keyId", "remoteJid", "fromMe", "status", "messageId", "instanceId")
SELECT
    'u' || pg_catalog.md5(n::text),
    'k' || n,
    '55' || (11900000000 + n) || '@s.whatsapp.net',
    true,
    'READ',
    CASE WHEN n <= :orphaned THEN 'gone' || n ELSE 'm' || ((n - :orphaned) / 2 + 1) END,
    'i' || (n % 50 + 1)
FROM
    pg_catalog.generate_series(1, :rows - 2) AS n;

RESET session_replication_role;
