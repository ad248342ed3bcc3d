-- Applied fixes whose objects one of upstream's migrations has changed since. What prepared an upgrade (EVO6xx) is used up by
-- whatever migration came after it. Rows that no migration's steps stand behind do not count: those of prisma migrate resolve
-- and of EVO302 (applied_steps_count 0), and those that evodoctor recorded ahead (sql/upgrade/record.sql).
SELECT
    run."run" AS run,
    fix."position" AS position,
    fix."code" AS code,
    run."applied_at" AS applied_at,
    run."release_from" AS release_from,
    run."release_to" AS release_to,
    since.migrations AS migrations
FROM
    "evodoctor"."run" AS run
    JOIN "evodoctor"."applied_fix" AS fix ON fix."run" = run."run"
    CROSS JOIN LATERAL (
        SELECT pg_catalog.array_agg(history."migration_name"::text ORDER BY history."migration_name" COLLATE "C") AS migrations
        FROM :history AS history
        WHERE
            history."finished_at" > run."applied_at"
            AND history."rolled_back_at" IS NULL
            AND history."applied_steps_count" > 0
            AND history."id" <> pg_catalog.md5('evodoctor beforehand ' || history."migration_name")::uuid::text
            AND (
                fix."code" LIKE 'EVO6%'
                OR pg_catalog.jsonb_exists(:'upstream'::jsonb -> fix."code", pg_catalog.split_part(history."migration_name", '_', 1))
            )
    ) AS since
WHERE
    run."target_schema" = :'schema'
    AND run."undone_at" IS NULL
    -- A ledger of before EVO307 has no such column.
    AND pg_catalog.to_jsonb(run.*) ->> 'closed_at' IS NULL
    AND since.migrations IS NOT NULL;
