-- Records pending migrations whose work is done as applied, in the row that Prisma itself would have written; its next start
-- skips them. The id tells such rows from Prisma's own (EVO206 and EVO306 look at it), and is the same in the rehearsal and
-- when it is applied.
SELECT
    pg_catalog.format('a row with the id that the record of %s would get is in _prisma_migrations; remove it first', history."migration_name") AS refusal
FROM
    pg_catalog.jsonb_to_recordset(:'records'::jsonb) AS record (name text)
    JOIN :"schema"."_prisma_migrations" AS history ON history."id" = pg_catalog.md5('evodoctor beforehand ' || record.name)::uuid::text;

SELECT
    pg_catalog.format(
        'INSERT INTO %I."_prisma_migrations" ("id", "checksum", "finished_at", "migration_name", "logs", "rolled_back_at", "started_at", "applied_steps_count") '
        'VALUES (%L, %L, pg_catalog.now(), %L, NULL, NULL, pg_catalog.now(), 1)', :'schema', entry.id, entry.checksum, entry.name
    ) AS statement,
    pg_catalog.format('DELETE FROM %I."_prisma_migrations" WHERE "id" = %L', :'schema', entry.id) AS undo
FROM
    (
        SELECT record.name, record.checksum, pg_catalog.md5('evodoctor beforehand ' || record.name)::uuid::text AS id
        FROM pg_catalog.jsonb_to_recordset(:'records'::jsonb) AS record (name text, checksum text)
    ) AS entry
ORDER BY
    entry.name;
