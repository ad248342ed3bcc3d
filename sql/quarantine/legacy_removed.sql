-- Lays the removed rows of an older run out in a table of today's form.
INSERT INTO :kept
SELECT
    legacy."run",
    legacy."reason",
    :values
FROM
    "evodoctor"."quarantine" AS legacy
    CROSS JOIN LATERAL pg_catalog.jsonb_populate_record(CAST(NULL AS :table), legacy."row") AS restored
WHERE
    legacy."run" = :'run'::bigint
    AND legacy."code" = :'code'
    AND legacy."table_name" = :'table_name'
    AND legacy."action" = :'action'
    AND legacy."reason" = :'reason'
    AND legacy."columns" = ARRAY(SELECT pg_catalog.jsonb_array_elements_text(:'changed_columns'::jsonb));
