-- :rows credentials of a deleted instance, each with the bot and the settings of a living one.
DROP INDEX "OpenaiSetting_openaiCredsId_key";
DROP INDEX IF EXISTS "OpenaiSetting_instanceId_key";

INSERT INTO "OpenaiCreds" ("id", "name", "apiKey", "instanceId", "updatedAt")
SELECT 'k' || n, 'name ' || n, 'sk-' || n, 'gone', pg_catalog.now() FROM pg_catalog.generate_series(1, :rows) AS n;

INSERT INTO "OpenaiSetting" ("id", "openaiCredsId", "instanceId", "updatedAt")
SELECT 's' || n, 'k' || n, 'i1', pg_catalog.now() FROM pg_catalog.generate_series(1, :rows) AS n;

INSERT INTO "OpenaiBot" ("id", "botType", "openaiCredsId", "instanceId", "updatedAt")
SELECT 'b' || n, 'assistant', 'k' || n, 'i1', pg_catalog.now() FROM pg_catalog.generate_series(1, :rows) AS n;
