-- As many rows in every table as are asked for, in one of the distributions that checks are measured on. Deterministic.
--   psql -v schema=evolution_api -v rows=1000000 -v instances=500 -v broken=false -f distribution.sql
-- instances: over how many instances the rows are spread. broken: no row refers to one that exists, each key of chats,
-- contacts and labels exists twice, each status is a number, each session blocks its contact, each credential is used by
-- another instance than its own, and each name of an instance has a twin.
INSERT INTO :"schema"."Instance" ("id", "name", "connectionStatus", "integration", "number", "token", "clientName", "updatedAt")
SELECT
    'instance-' || n,
    CASE WHEN :'broken'::boolean AND n % 2 = 0 THEN 'LINE-' || n - 1 ELSE 'line-' || n END,
    CASE WHEN :'broken'::boolean AND n % 4 < 2 THEN 'close' ELSE 'open' END::text:::"schema"."InstanceConnectionStatus",
    'WHATSAPP-BAILEYS', (5511900000000 + n)::text, pg_catalog.md5('token' || n), 'evolution', '2026-01-01'
FROM pg_catalog.generate_series(1, :'instances'::bigint) AS n;

INSERT INTO :"schema"."Setting" (
    "id", "rejectCall", "groupsIgnore", "alwaysOnline", "readMessages", "readStatus", "syncFullHistory", "updatedAt", "instanceId"
)
SELECT 'setting-' || n, false, false, false, false, false, false, '2026-01-01', CASE WHEN :'broken'::boolean THEN 'gone-' ELSE 'instance-' END || n
FROM pg_catalog.generate_series(1, :'instances'::bigint) AS n;

INSERT INTO :"schema"."Session" ("id", "sessionId", "creds")
SELECT 'session-' || n, CASE WHEN :'broken'::boolean THEN 'gone-' ELSE 'instance-' END || n, pg_catalog.repeat(pg_catalog.md5(n::text), 4)
FROM pg_catalog.generate_series(1, :'instances'::bigint) AS n;

INSERT INTO :"schema"."Label" ("id", "labelId", "name", "color", "updatedAt", "instanceId")
SELECT
    'label-' || n,
    -- Of a broken one each is there twice.
    (CASE WHEN :'broken'::boolean THEN (n + 1) / 2 ELSE n END)::text,
    'label', '1', '2026-01-01',
    CASE WHEN :'broken'::boolean THEN 'gone-' || (n + 1) / 2 % :'instances'::bigint ELSE 'instance-' || 1 + n % :'instances'::bigint END
FROM pg_catalog.generate_series(1, :'rows'::bigint) AS n;

INSERT INTO :"schema"."Contact" ("id", "remoteJid", "pushName", "profilePicUrl", "updatedAt", "instanceId")
SELECT
    'contact-' || n,
    (5511900000000 + CASE WHEN :'broken'::boolean THEN (n + 1) / 2 ELSE n END) || '@s.whatsapp.net',
    'Contact ' || n,
    'https://pps.whatsapp.net/v/t61.24694-24/' || pg_catalog.md5('picture' || n) || '.jpg',
    '2026-01-01',
    CASE WHEN :'broken'::boolean THEN 'gone-' || (n + 1) / 2 % :'instances'::bigint ELSE 'instance-' || 1 + n % :'instances'::bigint END
FROM pg_catalog.generate_series(1, :'rows'::bigint) AS n;

INSERT INTO :"schema"."Chat" ("id", "remoteJid", "labels", "updatedAt", "instanceId", "unreadMessages")
SELECT
    'chat-' || n,
    (5511900000000 + CASE WHEN :'broken'::boolean THEN (n + 1) / 2 ELSE n END) || '@s.whatsapp.net',
    CASE
        WHEN :'broken'::boolean THEN CASE n % 3 WHEN 0 THEN '["none"]' WHEN 1 THEN '"5"' ELSE '{"5": true}' END::jsonb
        -- A label of the same instance.
        WHEN n % 5 = 0 THEN pg_catalog.jsonb_build_array(n::text)
        ELSE '[]'
    END,
    '2026-01-01',
    CASE WHEN :'broken'::boolean THEN 'gone-' || (n + 1) / 2 % :'instances'::bigint ELSE 'instance-' || 1 + n % :'instances'::bigint END,
    n % 4
FROM pg_catalog.generate_series(1, :'rows'::bigint) AS n;

INSERT INTO :"schema"."OpenaiCreds" ("id", "name", "apiKey", "updatedAt", "instanceId")
SELECT
    'credential-' || n, 'credential ' || n, 'sk-' || pg_catalog.md5('key' || n), '2026-01-01',
    CASE WHEN :'broken'::boolean AND n % 2 = 0 THEN 'gone-' ELSE 'instance-' END || 1 + n % :'instances'::bigint
FROM pg_catalog.generate_series(1, :'rows'::bigint) AS n;

INSERT INTO :"schema"."OpenaiSetting" ("id", "updatedAt", "openaiCredsId", "instanceId")
SELECT
    'openai-setting-' || n, '2026-01-01', 'credential-' || n,
    CASE WHEN :'broken'::boolean THEN 'instance-' || 1 + (n + 1) % :'instances'::bigint ELSE 'instance-' || 1 + n % :'instances'::bigint END
FROM pg_catalog.generate_series(1, :'instances'::bigint) AS n;

-- Where it is broken a half of the credentials is used, by others; otherwise each by its own instance.
INSERT INTO :"schema"."OpenaiBot" ("id", "updatedAt", "openaiCredsId", "instanceId", "botType")
SELECT
    'bot-' || n, '2026-01-01', 'credential-' || CASE WHEN :'broken'::boolean THEN n + n % 2 ELSE n END,
    'instance-' || CASE WHEN :'broken'::boolean THEN 1 + (n + 2) % :'instances'::bigint ELSE 1 + n % :'instances'::bigint END,
    'chatCompletion'
FROM pg_catalog.generate_series(1, :'rows'::bigint) AS n;

INSERT INTO :"schema"."IntegrationSession" (
    "id", "sessionId", "remoteJid", "status", "awaitUser", "updatedAt", "instanceId", "botId", "type", "parameters", "context"
)
SELECT
    'bot-session-' || n, 'session-' || n, (5511900000000 + n) || '@s.whatsapp.net',
    CASE WHEN :'broken'::boolean THEN 'opened' ELSE 'closed' END::text:::"schema"."SessionStatus", false, '2026-01-01',
    CASE WHEN :'broken'::boolean THEN 'gone-' || n % :'instances'::bigint ELSE 'instance-' || 1 + n % :'instances'::bigint END,
    CASE WHEN NOT :'broken'::boolean THEN 'bot-' || n WHEN n % 2 = 0 THEN 'gone-' || n END,
    'openai', pg_catalog.jsonb_build_object('n', n, 'text', pg_catalog.repeat('parameter ', 10)), NULL
FROM pg_catalog.generate_series(1, :'rows'::bigint) AS n;

INSERT INTO :"schema"."IsOnWhatsapp" ("id", "remoteJid", "jidOptions", "updatedAt")
SELECT 'number-' || n, (CASE WHEN :'broken'::boolean AND n = 1 THEN 0 ELSE 5511900000000 + n END) || '@s.whatsapp.net', '', '2026-01-01'
FROM pg_catalog.generate_series(1, :'rows'::bigint) AS n;

INSERT INTO :"schema"."Message" (
    "id", "key", "pushName", "messageType", "message", "source", "messageTimestamp", "instanceId", "sessionId", "status"
)
SELECT
    'cm' || pg_catalog.lpad(pg_catalog.to_hex(n), 9, '0') || pg_catalog.substr(made.hash, 1, 14),
    pg_catalog.jsonb_build_object(
        'id', '3EB0' || pg_catalog.upper(pg_catalog.substr(made.hash, 15, 18)),
        'fromMe', n % 3 = 0,
        'remoteJid', (5511900000000 + n / 40) || '@s.whatsapp.net'
    ),
    'Contact ' || n / 40, 'conversation',
    pg_catalog.jsonb_build_object('conversation', pg_catalog.left(pg_catalog.repeat('we will be with you on Thursday; ', 5), (20 + n % 110)::integer), 'secret', made.hash),
    'web', (1700000000 + n)::integer,
    CASE WHEN :'broken'::boolean THEN 'gone-' || n % :'instances'::bigint ELSE 'instance-' || 1 + n % :'instances'::bigint END,
    CASE WHEN :'broken'::boolean THEN 'gone-' || n WHEN n % 10 = 5 THEN 'bot-session-' || n END,
    CASE WHEN :'broken'::boolean THEN (n % 7)::text ELSE (ARRAY['READ', 'DELIVERY_ACK', 'SERVER_ACK', 'PENDING'])[1 + n % 4] END
FROM
    (SELECT n, pg_catalog.md5('message' || n) AS hash FROM pg_catalog.generate_series(1, :'rows'::bigint) AS n) AS made;

INSERT INTO :"schema"."MessageUpdate" ("id", "keyId", "remoteJid", "fromMe", "status", "messageId", "instanceId")
SELECT
    'update-' || n,
    CASE WHEN :'broken'::boolean THEN 'gone' ELSE '3EB0' END || pg_catalog.upper(pg_catalog.substr(made.hash, 15, 18)),
    (5511900000000 + n / 40) || '@s.whatsapp.net', n % 3 = 0, 'READ',
    CASE WHEN :'broken'::boolean THEN 'gone' ELSE 'cm' END || pg_catalog.lpad(pg_catalog.to_hex(n), 9, '0') || pg_catalog.substr(made.hash, 1, 14),
    CASE WHEN :'broken'::boolean THEN 'gone-' || n % :'instances'::bigint ELSE 'instance-' || 1 + n % :'instances'::bigint END
FROM
    (SELECT n, pg_catalog.md5('message' || n) AS hash FROM pg_catalog.generate_series(1, :'rows'::bigint) AS n) AS made;

INSERT INTO :"schema"."Media" ("id", "fileName", "type", "mimetype", "messageId", "instanceId")
SELECT
    'media-' || n, 'media/' || n || '.jpg', 'image', 'image/jpeg',
    CASE WHEN :'broken'::boolean THEN 'gone' ELSE 'cm' END || pg_catalog.lpad(pg_catalog.to_hex(n), 9, '0') || pg_catalog.substr(made.hash, 1, 14),
    CASE WHEN :'broken'::boolean THEN 'gone-' || n % :'instances'::bigint ELSE 'instance-' || 1 + n % :'instances'::bigint END
FROM
    (SELECT n, pg_catalog.md5('message' || n) AS hash FROM pg_catalog.generate_series(1, :'rows'::bigint) AS n) AS made;
