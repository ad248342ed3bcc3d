-- Ids of rows that a fix's own query selects, as many as are asked for. Looked for without a lock: whoever treats them looks
-- at each again.
SELECT
    selection."key" ->> 'id' AS id
FROM
    (:selection) AS selection
LIMIT
    :'limit'::bigint;
