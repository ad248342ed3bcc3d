-- Statements of fix --online that were to be run after the fix's transaction, and are not done.
SELECT
    run."run" AS run,
    run."applied_at" AS applied_at,
    run."applied_by" AS applied_by,
    fix."code" AS code,
    later.position AS position,
    later.step ->> 'sql' AS statement
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
