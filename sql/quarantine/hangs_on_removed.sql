-- How many rows of a table that evodoctor cannot quarantine hang on rows that are to be removed.
SELECT
    pg_catalog.count(*) AS count
FROM
    :child AS child
    JOIN (
        SELECT parent.*
        FROM
            "evodoctor"."quarantine" AS removed
            CROSS JOIN LATERAL pg_catalog.jsonb_populate_record(CAST(NULL AS :parent), removed."row") AS parent
        WHERE
            removed."run" = pg_catalog.current_setting('evodoctor.run')::bigint
            AND removed."table_schema" = :'parent_schema'
            AND removed."table_name" = :'parent_table'
            AND removed."action" = 'removed'
    ) AS parent ON (:parent_columns) = (:child_columns);
