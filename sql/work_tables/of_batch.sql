-- The rows of one batch, by key.
SELECT
    :wanted_key
FROM
    pg_catalog.jsonb_populate_recordset(CAST(NULL AS :child), :'keys'::jsonb) AS wanted;
