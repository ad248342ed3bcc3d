-- Puts the rows of one table into the quarantine that refer to nothing, or to a row that is itself to be removed.
-- Run again and again until it adds nothing: then whatever hangs on a removed row is here too. Nothing is touched yet.
INSERT INTO "evodoctor"."quarantine" (
    "run", "code", "table_schema", "table_name", "action", "columns", "key", "reason", "row", "literal", "change"
)
SELECT
    pg_catalog.current_setting('evodoctor.run')::bigint,
    :'code',
    :'schema',
    :'table',
    :'action',
    ARRAY(SELECT pg_catalog.jsonb_object_keys(NULLIF(:'change', '')::jsonb)),
    :child_key,
    :'reason',
    pg_catalog.to_jsonb(child.*),
    CASE WHEN :may_differ THEN (
        SELECT pg_catalog.jsonb_object_agg(value.name, value.text)
        FROM
            pg_catalog.jsonb_populate_record(CAST(NULL AS :child), pg_catalog.to_jsonb(child.*)) AS again
            CROSS JOIN LATERAL (VALUES :texts) AS value (name, text, again)
        WHERE value.text IS DISTINCT FROM value.again
    ) END,
    NULLIF(:'change', '')::jsonb
FROM
    :child AS child
WHERE
    (:child_columns) IS NOT NULL
    -- Of a batch: the rows that are its own.
    AND :among
    AND NOT EXISTS (
        SELECT
        FROM :parent AS parent
        WHERE
            (:parent_columns) = (:child_columns)
            AND NOT EXISTS (
                SELECT
                FROM
                    "evodoctor"."quarantine" AS removed
                    CROSS JOIN LATERAL pg_catalog.jsonb_populate_record(CAST(NULL AS :parent), removed."key") AS gone
                WHERE
                    removed."run" = pg_catalog.current_setting('evodoctor.run')::bigint
                    AND removed."table_schema" = :'parent_schema'
                    AND removed."table_name" = :'parent_table'
                    AND removed."action" = 'removed'
                    AND (:gone_parent_key) = (:parent_key)
            )
    )
    -- A row that is removed anyway need not be changed first; none is marked twice.
    AND NOT EXISTS (
        SELECT
        FROM
            "evodoctor"."quarantine" AS marked
            CROSS JOIN LATERAL pg_catalog.jsonb_populate_record(CAST(NULL AS :child), marked."key") AS gone
        WHERE
            marked."run" = pg_catalog.current_setting('evodoctor.run')::bigint
            AND marked."table_schema" = :'schema'
            AND marked."table_name" = :'table'
            AND (
                marked."action" = 'removed'
                OR (
                    marked."code" = :'code'
                    AND marked."columns" = ARRAY(SELECT pg_catalog.jsonb_object_keys(NULLIF(:'change', '')::jsonb))
                )
            )
            AND (:gone_child_key) = (:child_primary_key)
    )
-- Held from here on, so that no row elsewhere can come to hang on one of these after the guard has looked.
FOR UPDATE OF child;
