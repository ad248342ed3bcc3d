-- Removes the rows of one table that are marked so. Children first: nothing is left for a key to cascade to.
DELETE FROM :table AS target
USING
    "evodoctor"."quarantine" AS marked
    CROSS JOIN LATERAL pg_catalog.jsonb_populate_record(CAST(NULL AS :table), marked."key") AS key
WHERE
    marked."run" = pg_catalog.current_setting('evodoctor.run')::bigint
    AND marked."code" = :'code'
    AND marked."table_schema" = :'schema'
    AND marked."table_name" = :'table_name'
    AND marked."action" = 'removed'
    AND (:key) = (:target_key);
