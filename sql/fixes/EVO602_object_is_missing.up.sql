-- code: EVO602
-- version: 1
-- applicability: safe
-- tables: _prisma_migrations
-- records: found
-- after 2.0.0-beta..: the next start of the server skips the migration, whose work is done, and goes on with the next.
--   Nothing in the tables changes. The history then reads as of the release whose tables these are.
SELECT
    pg_catalog.format('what %s drops is gone, and all that it makes is there in upstream''s form', record.name) AS note
FROM
    pg_catalog.jsonb_to_recordset(:'records'::jsonb) AS record (name text);
