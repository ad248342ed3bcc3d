CREATE TEMPORARY TABLE kept AS
SELECT pg_catalog.to_jsonb(x.*) AS "row"
FROM "Media" AS x
WHERE NOT EXISTS (SELECT FROM "Instance" AS i WHERE i."id" = x."instanceId") OR NOT EXISTS (SELECT FROM "Message" AS m WHERE m."id" = x."messageId");

DELETE FROM "Media" AS x
WHERE NOT EXISTS (SELECT FROM "Instance" AS i WHERE i."id" = x."instanceId") OR NOT EXISTS (SELECT FROM "Message" AS m WHERE m."id" = x."messageId");
