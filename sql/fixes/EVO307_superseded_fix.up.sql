-- code: EVO307
-- version: 2
-- applicability: safe
-- after 2.0.0-beta..: nothing changes for the API. History shows these runs as closed, and undo goes on refusing them. Rows that
--   they keep in the quarantine stay there until you drop them.
-- A ledger of before EVO307 lacks the columns.
SELECT
    'ALTER TABLE "evodoctor"."run" ADD COLUMN "closed_at" timestamptz, ADD COLUMN "closed_by" text' AS statement,
    'ALTER TABLE "evodoctor"."run" DROP COLUMN "closed_at", DROP COLUMN "closed_by"' AS undo
WHERE
    NOT EXISTS (
        SELECT FROM pg_catalog.pg_attribute AS attribute
        WHERE
            attribute.attrelid = '"evodoctor"."run"'::pg_catalog.regclass
            AND attribute.attname = 'closed_at'
            AND NOT attribute.attisdropped
    );

SELECT
    pg_catalog.format('UPDATE "evodoctor"."run" SET "closed_at" = pg_catalog.now(), "closed_by" = current_user WHERE "run" = %s', found.run) AS statement,
    pg_catalog.format('UPDATE "evodoctor"."run" SET "closed_at" = NULL, "closed_by" = NULL WHERE "run" = %s', found.run) AS undo
FROM
    (SELECT pg_catalog.jsonb_array_elements_text(:'found'::jsonb)::bigint AS run) AS found
ORDER BY
    found.run;

SELECT
    pg_catalog.format(
        'run %s keeps %s rows in the quarantine, in %s',
        kept."run", pg_catalog.sum(kept."count"),
        pg_catalog.string_agg(DISTINCT pg_catalog.format('"evodoctor".%I', kept."relation"), ', ')
    ) AS note
FROM
    "evodoctor"."quarantine_entry" AS kept
WHERE
    kept."run" IN (SELECT pg_catalog.jsonb_array_elements_text(:'found'::jsonb)::bigint)
GROUP BY
    kept."run"
ORDER BY
    kept."run";

-- Versions up to ledger format 2 kept all rows in one table.
SELECT
    pg_catalog.format('run %s was applied by an older version; if it keeps rows, they are in "evodoctor"."quarantine"', run."run") AS note
FROM
    "evodoctor"."run" AS run
WHERE
    run."run" IN (SELECT pg_catalog.jsonb_array_elements_text(:'found'::jsonb)::bigint)
    AND pg_catalog.to_regclass('"evodoctor"."quarantine"') IS NOT NULL
    AND NOT EXISTS (
        SELECT FROM "evodoctor"."quarantine_entry" AS kept
        WHERE kept."run" = run."run"
    )
ORDER BY
    run."run";
