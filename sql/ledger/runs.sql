-- The runs, newest first, with what each did.
SELECT
    run."run" AS run,
    run."target_schema" AS target_schema,
    pg_catalog.to_char(run."applied_at" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS applied_at,
    run."applied_by" AS applied_by,
    run."tool_version" AS tool_version,
    run."release_from" AS release_from,
    run."release_to" AS release_to,
    run."plan_hash" AS plan_hash,
    pg_catalog.to_char(run."undone_at" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS undone_at,
    run."undone_by" AS undone_by,
    -- A ledger of before EVO307 has no such columns.
    pg_catalog.to_char((pg_catalog.to_jsonb(run.*) ->> 'closed_at')::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS closed_at,
    pg_catalog.to_jsonb(run.*) ->> 'closed_by' AS closed_by,
    pg_catalog.to_char((pg_catalog.to_jsonb(run.*) ->> 'pruned_at')::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS pruned_at,
    EXTRACT(epoch FROM pg_catalog.now() - run."applied_at")::bigint AS age_seconds,
    -- One of format 1 has no such column.
    (pg_catalog.to_jsonb(run.*) ->> 'series')::bigint AS series,
    COALESCE(fixes.list, '[]'::jsonb) AS fixes
FROM
    "evodoctor"."run" AS run
    LEFT JOIN (
        SELECT
            fix."run",
            pg_catalog.jsonb_agg(
                pg_catalog.jsonb_build_object(
                    'code', fix."code", 'version', fix."version", 'checksum', fix."checksum",
                    'tables', fix."tables", 'ddl_before', fix."ddl_before", 'ddl_after', fix."ddl_after",
                    'steps', fix."steps"
                )
                ORDER BY fix."position"
            ) AS list
        FROM "evodoctor"."applied_fix" AS fix
        GROUP BY fix."run"
    ) AS fixes ON fixes."run" = run."run"
ORDER BY
    run."run" DESC;
