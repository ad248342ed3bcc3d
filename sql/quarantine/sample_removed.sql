-- Five of the rows that are removed for one reason, by key.
SELECT
    pg_catalog.to_jsonb(target.*) AS before,
    CAST(NULL AS jsonb) AS after
FROM
    (
        SELECT
            marked.*
        FROM
            :marks AS marked
        WHERE
            marked."evodoctor reason" = :'reason'
        ORDER BY
            :marked_key
        LIMIT
            5
    ) AS marked
    JOIN :table AS target ON (:marked_key) = (:target_key)
ORDER BY
    :marked_key;
