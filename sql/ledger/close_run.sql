-- The run is undone. Rows that could not come back stay in the tables that are named.
UPDATE "evodoctor"."run" AS run
SET
    "undone_at" = COALESCE(run."undone_at", pg_catalog.now()),
    "undone_by" = COALESCE(run."undone_by", current_user)
WHERE
    run."run" = :'run'::bigint;

DELETE FROM "evodoctor"."quarantine_entry" AS entry
WHERE
    entry."run" = :'run'::bigint
    AND NOT entry."relation" = ANY (ARRAY(SELECT pg_catalog.jsonb_array_elements_text(:'left'::jsonb)));
