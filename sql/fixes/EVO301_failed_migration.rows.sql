-- code: EVO301
-- version: 1
-- applicability: quarantine
-- hazards: changes-rows
-- tables: _prisma_migrations
-- after 2.0.0-beta..: the server starts again, and runs the migration anew where its image has it. If what made it fail is
--   still so, it fails again; everything else is as before.
-- What `prisma migrate resolve --rolled-back` does, under the lock that Prisma's own migrations take. Prisma only looks
-- whether there is a time; the row's own start is the same in the rehearsal and when it is applied.
SELECT
    '_prisma_migrations' AS "table",
    pg_catalog.jsonb_build_object('id', history."id") AS key,
    pg_catalog.jsonb_build_object('rolled_back_at', history."started_at") AS change,
    'the migration failed' AS reason
FROM
    :"schema"."_prisma_migrations" AS history
WHERE
    history."finished_at" IS NULL
    AND history."rolled_back_at" IS NULL
    AND history."migration_name" IN (SELECT pg_catalog.jsonb_array_elements_text(:'found'::jsonb));
