-- Gives the marked rows of one table the new values of their columns.
UPDATE :table AS target
SET
    :assignments
FROM
    "evodoctor"."quarantine" AS marked
    CROSS JOIN LATERAL pg_catalog.jsonb_populate_record(CAST(NULL AS :table), marked."key") AS key
    CROSS JOIN LATERAL pg_catalog.jsonb_populate_record(CAST(NULL AS :table), marked."change") AS changed
WHERE
    marked."run" = pg_catalog.current_setting('evodoctor.run')::bigint
    AND marked."code" = :'code'
    AND marked."table_schema" = :'schema'
    AND marked."table_name" = :'table_name'
    AND marked."action" = 'changed'
    AND marked."columns" = ARRAY(SELECT pg_catalog.jsonb_array_elements_text(:'changed_columns'::jsonb))
    AND (:key) = (:target_key);
