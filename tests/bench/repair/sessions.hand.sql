SET LOCAL session_replication_role = replica;
CREATE TEMPORARY TABLE lost AS
SELECT x."id" FROM "IntegrationSession" AS x WHERE NOT EXISTS (SELECT FROM "Instance" AS i WHERE i."id" = x."instanceId");
ANALYZE lost;
CREATE TEMPORARY TABLE kept AS
SELECT pg_catalog.to_jsonb(x.*) AS "row" FROM "IntegrationSession" AS x JOIN lost ON lost."id" = x."id"
UNION ALL
SELECT pg_catalog.to_jsonb(x.*) FROM "Message" AS x JOIN lost ON lost."id" = x."sessionId";

UPDATE "Message" AS x SET "sessionId" = NULL FROM lost WHERE lost."id" = x."sessionId";
DELETE FROM "IntegrationSession" AS x USING lost WHERE lost."id" = x."id";
