-- How many of the rows that came back into one table refer to a row that went away after the fix. Asked where the rows
-- came back past their constraints, which then say nothing.
SELECT
    pg_catalog.count(*) AS count
FROM
    "evodoctor"."quarantine" AS kept
    CROSS JOIN LATERAL pg_catalog.jsonb_populate_record(CAST(NULL AS :child), kept."row") AS child
WHERE
    kept."run" = pg_catalog.current_setting('evodoctor.run')::bigint
    AND kept."code" = :'code'
    AND kept."table_schema" = :'child_schema'
    AND kept."table_name" = :'child_table'
    AND kept."action" = 'removed'
    AND (:child_columns) IS NOT NULL
    AND NOT EXISTS (
        SELECT
        FROM :parent AS parent
        WHERE (:parent_columns) = (:child_columns)
    );
