-- Five of the rows whose columns are changed for one reason, by key.
SELECT
    pg_catalog.to_jsonb(target.*) AS before,
    pg_catalog.to_jsonb(target.*) || marked."evodoctor change" AS after
FROM
    (
        SELECT
            marked.*
        FROM
            :marks AS marked
        WHERE
            marked."evodoctor reason" = :'reason'
            AND marked."evodoctor columns" = ARRAY(SELECT pg_catalog.jsonb_array_elements_text(:'changed_columns'::jsonb))
        ORDER BY
            :marked_key
        LIMIT
            5
    ) AS marked
    JOIN :table AS target ON (:marked_key) = (:target_key)
ORDER BY
    :marked_key;
