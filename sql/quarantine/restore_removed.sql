-- Brings the removed rows of one table back, exactly: from the server's own text of the row where jsonb could not hold it.
INSERT INTO :table (:columns) OVERRIDING SYSTEM VALUE
SELECT
    :restored_columns
FROM
    "evodoctor"."quarantine" AS kept
    CROSS JOIN LATERAL (
        SELECT (
            CASE
                WHEN kept."literal" IS NULL THEN pg_catalog.jsonb_populate_record(CAST(NULL AS :table), kept."row")
                ELSE CAST(kept."literal" AS :table)
            END
        ).*
    ) AS restored
WHERE
    kept."run" = pg_catalog.current_setting('evodoctor.run')::bigint
    AND kept."code" = :'code'
    AND kept."table_schema" = :'schema'
    AND kept."table_name" = :'table_name'
    AND kept."action" = 'removed';
