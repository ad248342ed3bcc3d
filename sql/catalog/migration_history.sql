-- Prisma's own record of the migrations.
SELECT
    migration.migration_name::text AS name,
    migration.checksum::text AS checksum,
    migration.finished_at IS NOT NULL AS is_finished,
    migration.rolled_back_at IS NOT NULL AS is_rolled_back
FROM
    :"schema"."_prisma_migrations" AS migration
ORDER BY
    migration.started_at, migration.migration_name;
