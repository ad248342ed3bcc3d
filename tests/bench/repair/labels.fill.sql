-- :rows chats whose labels are a single text and no array, without the index on labels.
DROP INDEX "Label_labelId_instanceId_key";

INSERT INTO "Label" ("id", "labelId", "name", "color", "instanceId", "updatedAt")
SELECT 'l' || n, n || '', 'label ' || n, '1', 'i' || (n % 50 + 1), pg_catalog.now()
FROM pg_catalog.generate_series(1, :rows / 10) AS n;

INSERT INTO "Chat" ("id", "remoteJid", "labels", "instanceId", "updatedAt")
SELECT 'c' || pg_catalog.md5(n::text), n || '@s.whatsapp.net', pg_catalog.to_jsonb((n % 1000)::text), 'i' || (n % 50 + 1), pg_catalog.now()
FROM pg_catalog.generate_series(1, :rows) AS n;
