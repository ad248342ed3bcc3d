-- The messages. Each is of 400 to 600 bytes, ids grow with time as Prisma's do, and instances are mixed as they talk.
-- Of 10 million 4 thousand are of deleted instances, 2 thousand name a bot session that is gone.
--   psql -v schema=evolution_api -v messages=10000000 -f messages.sql
INSERT INTO :"schema"."Message" (
    "id", "key", "pushName", "participant", "messageType", "message", "contextInfo", "source", "messageTimestamp", "instanceId", "sessionId", "status"
)
SELECT
    'cm' || pg_catalog.lpad(pg_catalog.to_hex(n), 9, '0') || pg_catalog.substr(made.hash, 1, 14),
    pg_catalog.jsonb_build_object(
        'id', '3EB0' || pg_catalog.upper(pg_catalog.substr(made.hash, 15, 18)),
        'fromMe', n % 3 = 0,
        'remoteJid', (5511900000000 + n / 40) || '@s.whatsapp.net'
    ),
    'Contact ' || n / 40,
    CASE WHEN n % 10 = 4 THEN (5511900000000 + n % 9973) || '@s.whatsapp.net' END,
    CASE WHEN n % 4 = 1 THEN 'extendedTextMessage' ELSE 'conversation' END,
    pg_catalog.jsonb_build_object(
        'conversation', 'Message ' || n || ': ' || pg_catalog.left('we will be with you on Thursday between nine and eleven; please keep the number of the order at hand, and tell us should anything change', (20 + n % 110)::integer),
        'messageContextInfo', pg_catalog.jsonb_build_object(
            'messageSecret', made.hash || pg_catalog.left(made.hash, 12),
            'deviceListMetadata', pg_catalog.jsonb_build_object('senderKeyHash', pg_catalog.left(made.hash, 16)),
            'deviceListMetadataVersion', 2
        )
    ),
    NULL,
    (ARRAY['android', 'ios', 'web'])[1 + n % 3]::text:::"schema"."DeviceMessage",
    (1700000000 + n)::integer,
    pg_catalog.md5('instance' || CASE WHEN n % 2500 = 11 THEN 501 + n % 7 ELSE made.instance END)::uuid::text,
    CASE
        WHEN n % 5000 = 13 THEN 'cmgone' || n % 1300
        WHEN n % 10 = 5 THEN 'cm' || pg_catalog.lpad(pg_catalog.to_hex(made.session), 9, '0') || pg_catalog.substr(pg_catalog.md5('bot session' || made.session), 1, 14)
    END,
    (ARRAY['READ', 'DELIVERY_ACK', 'SERVER_ACK', 'READ', 'PENDING'])[1 + n % 5]
FROM
    (
        SELECT
            n,
            pg_catalog.md5('message' || n) AS hash,
            -- A few instances talk much, many little.
            1 + pg_catalog.floor(500 * pg_catalog.power((n * 2654435761 % 4294967296) / 4294967296.0::float8, 2))::bigint AS instance,
            1 + n % GREATEST(:'messages'::bigint / 50, 1) AS session
        FROM pg_catalog.generate_series(1, :'messages'::bigint) AS n
    ) AS made;
