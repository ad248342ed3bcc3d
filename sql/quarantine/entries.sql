-- What some runs have in the quarantine, in the order in which it was put there.
SELECT
    entry."run" AS run,
    entry."code" AS code,
    entry."table_name" AS table_name,
    entry."action" AS action,
    entry."columns" AS columns,
    entry."reason" AS reason,
    entry."count" AS count,
    entry."digest" AS digest,
    entry."sample" AS sample,
    entry."relation" AS relation
FROM
    "evodoctor"."quarantine_entry" AS entry
WHERE
    entry."run" = ANY (ARRAY(SELECT value::bigint FROM pg_catalog.jsonb_array_elements_text(:'runs'::jsonb) AS value))
ORDER BY
    entry."run", entry."position";
