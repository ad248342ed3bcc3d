-- How many rows each run has in the quarantine.
SELECT
    entry."run" AS run,
    pg_catalog.sum(entry."count")::bigint AS count
FROM
    "evodoctor"."quarantine_entry" AS entry
GROUP BY
    entry."run";
