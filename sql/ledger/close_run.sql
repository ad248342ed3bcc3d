-- The run is undone.
UPDATE "evodoctor"."run" AS run
SET
    "undone_at" = pg_catalog.now(),
    "undone_by" = current_user
WHERE
    run."run" = :'run'::bigint;

DELETE FROM "evodoctor"."quarantine_entry" AS entry
WHERE
    entry."run" = :'run'::bigint;
