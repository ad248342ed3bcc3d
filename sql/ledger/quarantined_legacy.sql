-- How many rows each run has in the table of versions up to ledger format 2.
SELECT
    legacy."run" AS run,
    pg_catalog.count(*) AS count
FROM
    "evodoctor"."quarantine" AS legacy
GROUP BY
    legacy."run";
