-- Keys of rows of one table that refer to nothing, as many as are asked for. Looked for without a lock: whoever removes them
-- looks at each again.
SELECT
    :child_key_object AS key
FROM
    :child AS child
WHERE
    (:child_columns) IS NOT NULL
    AND NOT EXISTS (
        SELECT
        FROM :parent AS parent
        WHERE (:parent_columns) = (:child_columns)
    )
LIMIT
    :'limit'::bigint;
