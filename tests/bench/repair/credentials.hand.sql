SET LOCAL session_replication_role = replica;
CREATE TEMPORARY TABLE lost AS
SELECT x."id" FROM "OpenaiCreds" AS x WHERE NOT EXISTS (SELECT FROM "Instance" AS i WHERE i."id" = x."instanceId");
ANALYZE lost;
CREATE TEMPORARY TABLE kept AS
SELECT pg_catalog.to_jsonb(x.*) AS "row" FROM "OpenaiCreds" AS x JOIN lost ON lost."id" = x."id"
UNION ALL
SELECT pg_catalog.to_jsonb(x.*) FROM "OpenaiSetting" AS x JOIN lost ON lost."id" = x."openaiCredsId"
UNION ALL
SELECT pg_catalog.to_jsonb(x.*) FROM "OpenaiBot" AS x JOIN lost ON lost."id" = x."openaiCredsId";

DELETE FROM "OpenaiSetting" AS x USING lost WHERE lost."id" = x."openaiCredsId";
DELETE FROM "OpenaiBot" AS x USING lost WHERE lost."id" = x."openaiCredsId";
DELETE FROM "OpenaiCreds" AS x USING lost WHERE lost."id" = x."id";
