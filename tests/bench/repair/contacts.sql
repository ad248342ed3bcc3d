-- :rows contacts of 50 instances, of which :twice stand for the same person as an older one. As left by a restore: the
-- unique index of the release is gone.
INSERT INTO "Instance" ("id", "name")
SELECT 'i' || n, 'instance ' || n FROM pg_catalog.generate_series(1, 50) AS n;

DROP INDEX "Contact_remoteJid_instanceId_key";

INSERT INTO "Contact" ("id", "remoteJid", "pushName", "profilePicUrl", "createdAt", "updatedAt", "instanceId")
SELECT
    'c' || pg_catalog.md5(n::text),
    '55' || (11900000000 + thing) || '@s.whatsapp.net',
    CASE WHEN n % 3 > 0 THEN 'name ' || n END,
    CASE WHEN n % 5 > 0 THEN 'https://pps.whatsapp.net/v/t61.24694-24/' || pg_catalog.md5(n::text) || '_n.jpg?ccb=11-4&oh=' || pg_catalog.md5(thing::text) END,
    '2024-01-01'::timestamp + n * interval '1 second',
    CASE WHEN n % 2 = 0 THEN '2024-06-01'::timestamp + n * interval '1 second' END,
    'i' || (thing % 50 + 1)
FROM
    pg_catalog.generate_series(1, :rows) AS n
    CROSS JOIN LATERAL (SELECT CASE WHEN n > :rows - :twice THEN n - (:rows - :twice) ELSE n END AS thing) AS person;
