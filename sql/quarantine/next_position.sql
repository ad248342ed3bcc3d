-- The position of the next entry of a run.
SELECT
    COALESCE(pg_catalog.max(entry."position"), -1) + 1 AS position
FROM
    "evodoctor"."quarantine_entry" AS entry
WHERE
    entry."run" = :'run'::bigint;
