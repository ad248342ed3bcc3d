-- :rows status updates whose messages are gone, under an instance that is there; and chats with labels that are gone, without
-- the index on labels.
ALTER TABLE "MessageUpdate" DROP CONSTRAINT "MessageUpdate_messageId_fkey";

INSERT INTO "MessageUpdate" ("id", "keyId", "remoteJid", "fromMe", "status", "messageId", "instanceId")
SELECT 'u' || pg_catalog.md5(n::text), 'k' || n, '5511@s.whatsapp.net', true, 'READ', 'lost' || n, 'i1'
FROM pg_catalog.generate_series(1, :rows) AS n;

DROP INDEX "Label_labelId_instanceId_key";

INSERT INTO "Label" ("id", "labelId", "name", "color", "instanceId", "updatedAt")
SELECT 'l' || n, n || '', 'label ' || n, '1', 'i' || (n % 50 + 1), pg_catalog.now()
FROM pg_catalog.generate_series(1, :rows / 10) AS n;

INSERT INTO "Chat" ("id", "remoteJid", "labels", "instanceId", "updatedAt")
SELECT 'c' || pg_catalog.md5(n::text), n || '@s.whatsapp.net', '["gone", "1"]', 'i' || (n % 50 + 1), pg_catalog.now()
FROM pg_catalog.generate_series(1, :rows) AS n;
