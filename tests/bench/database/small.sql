-- The small tables of the benchmark's database: instances with settings and sessions, labels, bots, chats, contacts, bot
-- sessions. Deterministic, so that every machine measures the same rows.
--   psql -v schema=evolution_api -v messages=10000000 -f small.sql
-- Instances above 500 were deleted by hand: rows of theirs are orphans.
INSERT INTO :"schema"."Instance" ("id", "name", "connectionStatus", "integration", "number", "token", "clientName", "ownerJid")
SELECT
    number.uuid, 'instance-' || number.n, 'open', 'WHATSAPP-BAILEYS', (5511900000000 + number.n)::text,
    pg_catalog.upper(pg_catalog.md5('token' || number.n)), 'evolution', (5511900000000 + number.n) || '@s.whatsapp.net'
FROM (SELECT n, pg_catalog.md5('instance' || n)::uuid::text AS uuid FROM pg_catalog.generate_series(1, 500) AS n) AS number;

INSERT INTO :"schema"."Setting" (
    "id", "rejectCall", "groupsIgnore", "alwaysOnline", "readMessages", "readStatus", "syncFullHistory", "updatedAt", "instanceId"
)
SELECT 'cmsetting' || n, false, false, false, false, false, false, '2026-01-01', pg_catalog.md5('instance' || n)::uuid::text
FROM pg_catalog.generate_series(1, 500) AS n;

INSERT INTO :"schema"."Session" ("id", "sessionId", "creds")
SELECT 'cmsession' || n, pg_catalog.md5('instance' || n)::uuid::text, pg_catalog.repeat(pg_catalog.md5(n::text), 80)
FROM pg_catalog.generate_series(1, 500) AS n;

INSERT INTO :"schema"."Label" ("id", "labelId", "name", "color", "updatedAt", "instanceId")
SELECT pg_catalog.format('cmlabel%sx%s', n, label), label::text, 'label ' || label, '1', '2026-01-01', pg_catalog.md5('instance' || n)::uuid::text
FROM pg_catalog.generate_series(1, 500) AS n, pg_catalog.generate_series(1, 8) AS label;

INSERT INTO :"schema"."Flowise" ("id", "apiUrl", "updatedAt", "instanceId")
SELECT 'cmflowise' || n, 'https://flowise.example', '2026-01-01', pg_catalog.md5('instance' || n)::uuid::text
FROM pg_catalog.generate_series(1, 200) AS n;

-- One contact for ten messages, one chat for twenty, one bot session for fifty.
INSERT INTO :"schema"."Contact" ("id", "remoteJid", "pushName", "profilePicUrl", "updatedAt", "instanceId")
SELECT
    'cm' || pg_catalog.lpad(pg_catalog.to_hex(n), 9, '0') || pg_catalog.substr(pg_catalog.md5('contact' || n), 1, 14),
    (5511900000000 + n) || '@s.whatsapp.net',
    'Contact ' || n,
    'https://pps.whatsapp.net/v/t61.24694-24/' || pg_catalog.md5('picture' || n) || '.jpg',
    '2026-01-01',
    pg_catalog.md5('instance' || CASE WHEN n % 2000 = 7 THEN 501 + n % 3 ELSE 1 + n % 500 END)::uuid::text
FROM pg_catalog.generate_series(1, :'messages'::bigint / 10) AS n;

INSERT INTO :"schema"."Chat" ("id", "remoteJid", "labels", "updatedAt", "instanceId", "unreadMessages")
SELECT
    'cm' || pg_catalog.lpad(pg_catalog.to_hex(n), 9, '0') || pg_catalog.substr(pg_catalog.md5('chat' || n), 1, 14),
    -- One in two hundred is there twice.
    (5511900000000 + CASE WHEN n % 200 = 0 THEN n - 500 ELSE n END) || '@s.whatsapp.net',
    CASE WHEN n % 5 = 0 THEN pg_catalog.jsonb_build_array((1 + n % 8)::text) WHEN n % 5000 = 1 THEN '["99"]' ELSE '[]' END,
    '2026-01-01',
    pg_catalog.md5('instance' || CASE WHEN n % 2000 = 7 THEN 501 + n % 3 ELSE 1 + n % 500 END)::uuid::text,
    n % 4
FROM pg_catalog.generate_series(1, :'messages'::bigint / 20) AS n;

INSERT INTO :"schema"."IntegrationSession" (
    "id", "sessionId", "remoteJid", "status", "awaitUser", "updatedAt", "instanceId", "botId", "type"
)
SELECT
    'cm' || pg_catalog.lpad(pg_catalog.to_hex(n), 9, '0') || pg_catalog.substr(pg_catalog.md5('bot session' || n), 1, 14),
    'session-' || n,
    (5511900000000 + n) || '@s.whatsapp.net',
    'closed', false, '2026-01-01',
    pg_catalog.md5('instance' || CASE WHEN n % 1000 = 7 THEN 501 + n % 3 ELSE 1 + n % 500 END)::uuid::text,
    'cmflowise' || CASE WHEN n % 500 = 3 THEN 201 ELSE 1 + n % 200 END,
    'flowise'
FROM pg_catalog.generate_series(1, :'messages'::bigint / 50) AS n;
