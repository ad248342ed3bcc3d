-- Puts the old values back into the columns that were changed.
UPDATE :table AS target
SET
    :assignments
FROM
    "evodoctor"."quarantine" AS kept
    CROSS JOIN LATERAL pg_catalog.jsonb_populate_record(CAST(NULL AS :table), kept."key") AS key
    CROSS JOIN LATERAL pg_catalog.jsonb_populate_record(CAST(NULL AS :table), kept."row") AS restored
WHERE
    kept."run" = pg_catalog.current_setting('evodoctor.run')::bigint
    AND kept."code" = :'code'
    AND kept."table_schema" = :'schema'
    AND kept."table_name" = :'table_name'
    AND kept."action" = 'changed'
    AND kept."columns" = ARRAY(SELECT pg_catalog.jsonb_array_elements_text(:'changed_columns'::jsonb))
    AND (:key) = (:target_key);
