-- Two status updates for each message. Of 20 million 8 thousand are of messages that are gone, and 8 thousand more of
-- deleted instances.
--   psql -v schema=evolution_api -v messages=10000000 -f updates.sql
INSERT INTO :"schema"."MessageUpdate" ("id", "keyId", "remoteJid", "fromMe", "status", "messageId", "instanceId")
SELECT
    'cm' || pg_catalog.lpad(pg_catalog.to_hex(n), 9, '0') || pg_catalog.substr(made.hash, 5, 14),
    '3EB0' || pg_catalog.upper(pg_catalog.substr(made.hash, 15, 18)),
    (5511900000000 + made.message / 40) || '@s.whatsapp.net',
    made.message % 3 = 0,
    CASE n % 2 WHEN 0 THEN 'DELIVERY_ACK' ELSE 'READ' END,
    'cm' || pg_catalog.lpad(pg_catalog.to_hex(made.message), 9, '0') || pg_catalog.substr(made.hash, 1, 14),
    pg_catalog.md5('instance' || CASE WHEN made.message % 2500 = 11 THEN 501 + made.message % 7 ELSE made.instance END)::uuid::text
FROM
    (
        SELECT
            n,
            numbered.message,
            pg_catalog.md5('message' || numbered.message) AS hash,
            1 + pg_catalog.floor(500 * pg_catalog.power((numbered.message * 2654435761 % 4294967296) / 4294967296.0::float8, 2))::bigint AS instance
        FROM
            pg_catalog.generate_series(1, 2 * :'messages'::bigint) AS n
            -- Those above the last message's number are of messages that are gone.
            CROSS JOIN LATERAL (SELECT CASE WHEN n % 2500 = 17 THEN :'messages'::bigint + n ELSE (n + 1) / 2 END AS message) AS numbered
    ) AS made;

INSERT INTO :"schema"."Media" ("id", "fileName", "type", "mimetype", "messageId", "instanceId")
SELECT
    'cmmedia' || n, 'media/' || n || '.jpg', 'image', 'image/jpeg',
    'cm' || pg_catalog.lpad(pg_catalog.to_hex(made.message), 9, '0') || pg_catalog.substr(pg_catalog.md5('message' || made.message), 1, 14),
    pg_catalog.md5('instance' || 1 + n % 500)::uuid::text
FROM
    pg_catalog.generate_series(1, :'messages'::bigint / 30) AS n
    CROSS JOIN LATERAL (SELECT CASE WHEN n % 300 = 17 THEN :'messages'::bigint + n ELSE n * 29 END AS message) AS made;
