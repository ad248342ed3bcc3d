-- :rows contacts twice, as left by a restore: the unique index of the release is gone.
DROP INDEX "Contact_remoteJid_instanceId_key";

INSERT INTO "Contact" ("id", "remoteJid", "pushName", "profilePicUrl", "createdAt", "updatedAt", "instanceId")
SELECT
    'c' || pg_catalog.md5(n::text),
    '55' || (11900000000 + n % :rows) || '@s.whatsapp.net',
    CASE WHEN n % 3 > 0 THEN 'name ' || n END,
    CASE WHEN n % 5 > 0 THEN 'https://pps.whatsapp.net/v/t61.24694-24/' || pg_catalog.md5(n::text) || '_n.jpg' END,
    '2024-01-01'::timestamp + n * interval '1 second',
    CASE WHEN n % 2 = 0 THEN '2024-06-01'::timestamp + n * interval '1 second' END,
    'i' || (n % :rows % 50 + 1)
FROM pg_catalog.generate_series(0, 2 * :rows - 1) AS n;
