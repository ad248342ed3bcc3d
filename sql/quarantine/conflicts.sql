-- Rows of one table that stand in the way of an undo: removed ones whose key somebody used again, and changed columns
-- that somebody changed since.
SELECT
    CASE kept."action"
        WHEN 'removed' THEN pg_catalog.format('a row with the key %s is in %s again', kept."key", :'table_name')
        ELSE pg_catalog.format('the row %s of %s has a new value in %s', kept."key", :'table_name', pg_catalog.array_to_string(kept."columns", ', '))
    END AS refusal
FROM
    "evodoctor"."quarantine" AS kept
    CROSS JOIN LATERAL pg_catalog.jsonb_populate_record(CAST(NULL AS :table), kept."key") AS key
    JOIN :table AS target ON (:key) = (:target_key)
WHERE
    kept."run" = pg_catalog.current_setting('evodoctor.run')::bigint
    AND kept."code" = :'code'
    AND kept."table_schema" = :'schema'
    AND kept."table_name" = :'table_name'
    AND (
        kept."action" = 'removed'
        OR EXISTS (
            SELECT
            FROM pg_catalog.unnest(kept."columns") AS changed (name)
            WHERE pg_catalog.to_jsonb(target.*) -> changed.name IS DISTINCT FROM kept."change" -> changed.name
        )
    )
ORDER BY
    kept."key"
LIMIT 20;
