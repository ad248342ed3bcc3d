-- Marks the rows of one table that refer to rows marked to be removed, to have their referring columns emptied.
INSERT INTO :marks
SELECT
    :child_key,
    :'reason',
    ARRAY(SELECT pg_catalog.jsonb_object_keys(:'change'::jsonb)),
    :'change'::jsonb
FROM
    :child AS child
WHERE
    EXISTS (
        SELECT
        FROM (:gone) AS gone
        WHERE (:gone_columns) = (:child_columns)
    )
:for_update;
