-- The rows that are there more than once, and hardly any other: those with these hashes.
-- Run by hand, for example:
--   psql -v table='"public"."Contact"' -v hashes='{-42,17}'
--        -v hash='pg_catalog.hashtextextended("public"."Contact"."remoteJid" COLLATE "C", 0)'
SELECT *
FROM :table
WHERE :hash IN (SELECT pg_catalog.unnest(:'hashes'::int8[]));
