CREATE TEMPORARY TABLE kept AS
SELECT pg_catalog.to_jsonb(x.*) AS "row" FROM "MessageUpdate" AS x WHERE NOT EXISTS (SELECT FROM "Instance" AS i WHERE i."id" = x."instanceId")
UNION ALL
SELECT pg_catalog.to_jsonb(x.*) FROM "Media" AS x WHERE NOT EXISTS (SELECT FROM "Instance" AS i WHERE i."id" = x."instanceId")
UNION ALL
SELECT pg_catalog.to_jsonb(x.*) FROM "Message" AS x WHERE NOT EXISTS (SELECT FROM "Instance" AS i WHERE i."id" = x."instanceId")
UNION ALL
SELECT pg_catalog.to_jsonb(x.*) FROM "Contact" AS x WHERE NOT EXISTS (SELECT FROM "Instance" AS i WHERE i."id" = x."instanceId");

DELETE FROM "MessageUpdate" AS x WHERE NOT EXISTS (SELECT FROM "Instance" AS i WHERE i."id" = x."instanceId");
DELETE FROM "Media" AS x WHERE NOT EXISTS (SELECT FROM "Instance" AS i WHERE i."id" = x."instanceId");
DELETE FROM "Message" AS x WHERE NOT EXISTS (SELECT FROM "Instance" AS i WHERE i."id" = x."instanceId");
DELETE FROM "Contact" AS x WHERE NOT EXISTS (SELECT FROM "Instance" AS i WHERE i."id" = x."instanceId");
