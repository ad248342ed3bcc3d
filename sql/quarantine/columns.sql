-- The columns that the quarantined rows of one table have.
SELECT
    ARRAY(SELECT pg_catalog.jsonb_object_keys(kept."row")) AS columns
FROM
    "evodoctor"."quarantine" AS kept
WHERE
    kept."run" = pg_catalog.current_setting('evodoctor.run')::bigint
    AND kept."table_schema" = :'schema'
    AND kept."table_name" = :'table_name'
LIMIT 1;
