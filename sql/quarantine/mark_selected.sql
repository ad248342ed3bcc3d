-- Puts the rows of one table into the quarantine that a fix's own query selects, with their new values. They are found again
-- by their keys, or by their places where the query gives these.
INSERT INTO "evodoctor"."quarantine" (
    "run", "code", "table_schema", "table_name", "action", "columns", "key", "reason", "row", "literal", "change"
)
SELECT
    pg_catalog.current_setting('evodoctor.run')::bigint,
    :'code',
    :'schema',
    :'table_name',
    CASE WHEN selected."change" IS NULL THEN 'removed' ELSE 'changed' END,
    ARRAY(SELECT name FROM pg_catalog.jsonb_object_keys(selected."change") AS name ORDER BY name),
    :target_key_object,
    selected."reason",
    pg_catalog.to_jsonb(target.*),
    CASE WHEN :may_differ THEN (
        SELECT pg_catalog.jsonb_object_agg(value.name, value.text)
        FROM
            pg_catalog.jsonb_populate_record(CAST(NULL AS :table), pg_catalog.to_jsonb(target.*)) AS again
            CROSS JOIN LATERAL (VALUES :texts) AS value (name, text, again)
        WHERE value.text IS DISTINCT FROM value.again
    ) END,
    selected."change"
FROM
    (:selection) AS selected
    CROSS JOIN LATERAL pg_catalog.jsonb_populate_record(CAST(NULL AS :table), selected."key") AS key
    JOIN :table AS target ON :is_it
WHERE
    selected."table" = :'table_name'
FOR UPDATE OF target;
