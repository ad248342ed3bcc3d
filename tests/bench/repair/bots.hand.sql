SET LOCAL session_replication_role = replica;
CREATE TEMPORARY TABLE kept AS
SELECT pg_catalog.to_jsonb(x.*) AS "row" FROM "IntegrationSession" AS x WHERE NOT EXISTS (SELECT FROM "Typebot" AS b WHERE b."id" = x."botId");

DELETE FROM "IntegrationSession" AS x WHERE NOT EXISTS (SELECT FROM "Typebot" AS b WHERE b."id" = x."botId");
