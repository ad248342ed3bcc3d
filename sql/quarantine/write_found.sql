-- Writes what a query finds into the rows of a table.
UPDATE :table AS target
SET
    :assignments
FROM
    (
        :found
    ) AS found
WHERE
    (:found_key) = (:target_key);
