-- How far a fix is whose long statements come after its transaction.
UPDATE "evodoctor"."applied_fix" AS fix
SET
    "steps" = :'steps'::jsonb,
    "ddl_after" = :'ddl_after'::jsonb
WHERE
    fix."run" = :'run'::bigint
    AND fix."position" = :'position'::integer;
