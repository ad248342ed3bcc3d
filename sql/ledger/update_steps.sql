-- What a run remembers beside its statements.
UPDATE "evodoctor"."applied_fix" AS fix
SET
    "steps" = :'steps'::jsonb
WHERE
    fix."run" = :'run'::bigint
    AND fix."position" = 0;
