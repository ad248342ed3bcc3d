-- Marks the rows of one table that refer to nothing, to have their referring columns emptied.
INSERT INTO :marks
SELECT
    :child_key,
    :'reason',
    ARRAY(SELECT pg_catalog.jsonb_object_keys(:'change'::jsonb)),
    :'change'::jsonb
FROM
    :child AS child
WHERE
    (:child_columns) IS NOT NULL
    -- Of a batch: the rows that are its own.
    AND :among
    AND NOT EXISTS (
        SELECT
        FROM :parent AS parent
        WHERE (:parent_columns) = (:child_columns)
    )
:for_update;
