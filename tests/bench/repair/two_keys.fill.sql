-- :rows media whose instance and whose message are gone.
INSERT INTO "Media" ("id", "fileName", "type", "mimetype", "messageId", "instanceId")
SELECT 'd' || pg_catalog.md5(n::text), 'file ' || n, 'image', 'image/jpeg', 'lost' || n, 'gone'
FROM pg_catalog.generate_series(1, :rows) AS n;
