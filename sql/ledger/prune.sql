-- The rows of these runs are dropped, and the runs can no longer be undone. "closed_at" says so to older versions as well.
ALTER TABLE "evodoctor"."run" ADD COLUMN IF NOT EXISTS "pruned_at" timestamptz;

DELETE FROM "evodoctor"."quarantine_entry" AS entry
WHERE
    entry."run" = ANY (ARRAY(SELECT value::bigint FROM pg_catalog.jsonb_array_elements_text(:'runs'::jsonb) AS value));

UPDATE "evodoctor"."run" AS run
SET
    "pruned_at" = pg_catalog.now(),
    "closed_at" = CASE WHEN run."undone_at" IS NULL THEN COALESCE(run."closed_at", pg_catalog.now()) END,
    "closed_by" = CASE WHEN run."undone_at" IS NULL THEN COALESCE(run."closed_by", current_user) END
WHERE
    run."run" = ANY (ARRAY(SELECT value::bigint FROM pg_catalog.jsonb_array_elements_text(:'runs'::jsonb) AS value));
