-- Marks the rows of one table that refer to rows marked in the round before, to be removed with them.
INSERT INTO :marks
SELECT
    :child_key,
    :'reason',
    :'round'::integer + 1
FROM
    :child AS child
WHERE
    EXISTS (
        SELECT
        FROM (:gone) AS gone
        WHERE (:gone_columns) = (:child_columns)
    )
:for_update;
