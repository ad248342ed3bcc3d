-- The rows are back where they were; the quarantine need not hold a second copy, which may hold secrets.
DELETE FROM "evodoctor"."quarantine" AS kept
WHERE
    kept."run" = pg_catalog.current_setting('evodoctor.run')::bigint;

UPDATE "evodoctor"."run" AS run
SET
    "undone_at" = pg_catalog.now(),
    "undone_by" = current_user
WHERE
    run."run" = pg_catalog.current_setting('evodoctor.run')::bigint;
