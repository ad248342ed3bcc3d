CREATE TEMPORARY TABLE lost AS
SELECT x."id" FROM "Message" AS x WHERE NOT EXISTS (SELECT FROM "Instance" AS i WHERE i."id" = x."instanceId");
ANALYZE lost;
CREATE TEMPORARY TABLE kept AS
SELECT pg_catalog.to_jsonb(x.*) AS "row" FROM "Message" AS x JOIN lost ON lost."id" = x."id"
UNION ALL
SELECT pg_catalog.to_jsonb(x.*) FROM "MessageUpdate" AS x JOIN lost ON lost."id" = x."messageId"
UNION ALL
SELECT pg_catalog.to_jsonb(x.*) FROM "Media" AS x JOIN lost ON lost."id" = x."messageId";

DELETE FROM "MessageUpdate" AS x USING lost WHERE lost."id" = x."messageId";
DELETE FROM "Media" AS x USING lost WHERE lost."id" = x."messageId";
DELETE FROM "Message" AS x USING lost WHERE lost."id" = x."id";
