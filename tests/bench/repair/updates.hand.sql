CREATE TEMPORARY TABLE kept AS
SELECT pg_catalog.to_jsonb(x.*) AS "row"
FROM "MessageUpdate" AS x
WHERE NOT EXISTS (SELECT FROM "Message" AS m WHERE m."key" ->> 'id' = x."keyId" AND m."instanceId" = x."instanceId")
UNION ALL
SELECT pg_catalog.to_jsonb(x.*) FROM "Chat" AS x WHERE x."labels" ? 'gone';

DELETE FROM "MessageUpdate" AS x
WHERE NOT EXISTS (SELECT FROM "Message" AS m WHERE m."key" ->> 'id' = x."keyId" AND m."instanceId" = x."instanceId");
UPDATE "Chat" AS x SET "labels" = x."labels" - 'gone' WHERE x."labels" ? 'gone';
