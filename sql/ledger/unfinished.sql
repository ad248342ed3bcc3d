-- Statements of fix --online that were to be run after the fix's transaction, and are not done.
SELECT
    run."run" AS run,
    run."applied_at" AS applied_at,
    run."applied_by" AS applied_by,
    fix."code" AS code,
    later.position AS position,
    COALESCE(
        -- Formats 1 and 2 of the ledger kept the text.
        later.step ->> 'sql',
        CASE later.step -> 'work' ->> 'what'
            WHEN 'rebuild' THEN pg_catalog.format('REINDEX INDEX CONCURRENTLY %I.%I', run."target_schema", later.step -> 'work' ->> 'name')
            WHEN 'validate' THEN pg_catalog.format('ALTER TABLE %I.%I VALIDATE CONSTRAINT %I', run."target_schema", later.step ->> 'table', later.step -> 'work' ->> 'name')
            WHEN 'build' THEN pg_catalog.format(
                'CREATE %sINDEX CONCURRENTLY %I ON %I.%I (%s)',
                CASE WHEN (later.step -> 'index' ->> 'unique')::boolean THEN 'UNIQUE ' END,
                later.step -> 'work' ->> 'name', run."target_schema", later.step ->> 'table',
                (
                    SELECT pg_catalog.string_agg(pg_catalog.quote_ident(part.name), ', ' ORDER BY part.position)
                    FROM pg_catalog.jsonb_array_elements_text(later.step -> 'index' -> 'columns') WITH ORDINALITY AS part (name, position)
                )
            )
        END
    ) AS statement
FROM
    "evodoctor"."run" AS run
    JOIN "evodoctor"."applied_fix" AS fix ON fix."run" = run."run"
    CROSS JOIN LATERAL pg_catalog.jsonb_array_elements(COALESCE(fix."steps" -> 'later', '[]'::jsonb)) WITH ORDINALITY AS later (step, position)
WHERE
    run."target_schema" = :'schema'
    AND run."undone_at" IS NULL
    -- A ledger of before EVO307 lacks the column.
    AND pg_catalog.to_jsonb(run.*) ->> 'closed_at' IS NULL
    AND later.step ->> 'state' = 'open';
