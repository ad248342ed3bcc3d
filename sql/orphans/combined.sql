-- What several steps found of one key, put together: the counts as they are, and of the examples of all steps the first
-- five. Read back as rows of the table they are put in order as its columns are.
-- Run by hand, for example:
--   psql -v count=7 -v missing=2 -v sample='[{"id": "b"}, {"id": "a"}]' -v child='"public"."Message"'
--        -v orphan_order='orphan."id"'
SELECT
    :'count'::bigint AS count,
    :'missing'::bigint AS missing,
    (
        SELECT pg_catalog.jsonb_agg(example.row ORDER BY example.position)
        FROM
            (
                SELECT
                    element.row,
                    pg_catalog.row_number() OVER (ORDER BY :orphan_order) AS position
                FROM
                    pg_catalog.jsonb_array_elements(:'sample'::jsonb) AS element (row)
                    CROSS JOIN LATERAL pg_catalog.jsonb_populate_record(CAST(NULL AS :child), element.row) AS orphan
            ) AS example
        WHERE
            example.position <= 5
    ) AS sample;
