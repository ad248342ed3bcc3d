-- Brings the removed rows of one table back, exactly: from the server's own text of a value where jsonb could not hold
-- it.
INSERT INTO :table (:columns) OVERRIDING SYSTEM VALUE
SELECT
    :restored_columns
FROM
    "evodoctor"."quarantine" AS kept
    CROSS JOIN LATERAL pg_catalog.jsonb_populate_record(CAST(NULL AS :table), kept."row") AS restored
WHERE
    kept."run" = pg_catalog.current_setting('evodoctor.run')::bigint
    AND kept."code" = :'code'
    AND kept."table_schema" = :'schema'
    AND kept."table_name" = :'table_name'
    AND kept."action" = 'removed';
