-- What rows that are to be removed are referred to by.
SELECT
    :gone_parent_columns
FROM
    "evodoctor"."quarantine" AS removed
    CROSS JOIN LATERAL pg_catalog.jsonb_populate_record(CAST(NULL AS :parent), removed."row") AS gone
WHERE
    removed."run" = pg_catalog.current_setting('evodoctor.run')::bigint
    AND removed."table_schema" = :'parent_schema'
    AND removed."table_name" = :'parent_table'
    AND removed."action" = 'removed';
