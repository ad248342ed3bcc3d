-- What several steps found of one key, put together: the counts as they are, and the first five rows by value and place,
-- which is the order of the index. They belong to the first five values, each of which has a row. Read back as rows of the
-- table, these are of the column's type.
-- Run by hand, for example:
--   psql -v count=7 -v missing=2 -v first='[{"instanceId": "gone"}, {"instanceId": "lost"}]' -v child='"public"."Message"'
--        -v reference='"public"."Message"."instanceId"' -v first_value='first."instanceId"' -v columns='"id", "instanceId"'
SELECT
    :'count'::bigint AS count,
    :'missing'::bigint AS missing,
    (
        SELECT pg_catalog.jsonb_agg(example.row ORDER BY example.value, example.place)
        FROM
            (
                SELECT
                    pg_catalog.to_jsonb(orphan) - 'evodoctor place' AS row,
                    :first_value AS value,
                    orphan."evodoctor place" AS place
                FROM
                    pg_catalog.jsonb_populate_recordset(CAST(NULL AS :child), :'first'::jsonb) AS first
                    -- As the index has them: to put all rows of a value in order would take longer than to count them.
                    CROSS JOIN LATERAL (
                        SELECT :columns, ctid AS "evodoctor place" FROM :child WHERE :reference = :first_value LIMIT 5
                    ) AS orphan
                ORDER BY
                    value, place
                LIMIT 5
            ) AS example
    ) AS sample;
