-- The same of the table of versions up to ledger format 2.
SELECT
    legacy."run" AS run,
    (
        pg_catalog.pg_total_relation_size('"evodoctor"."quarantine"'::pg_catalog.regclass) * pg_catalog.count(*)
        / pg_catalog.sum(pg_catalog.count(*)) OVER ()
    )::bigint AS bytes
FROM
    "evodoctor"."quarantine" AS legacy
GROUP BY
    legacy."run";
