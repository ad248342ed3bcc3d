-- What several steps found of one key, put together: the counts as they are, and the first five rows by value and key. They
-- belong to the first five values, each of which has a row. Read back as rows of the table, these are of the column's type.
-- Run by hand, for example:
--   psql -v count=7 -v missing=2 -v first='[{"instanceId": "gone"}, {"instanceId": "lost"}]' -v child='"public"."Message"'
--        -v reference='"public"."Message"."instanceId"' -v first_value='first."instanceId"' -v columns='"id", "instanceId"'
--        -v few_order='few."id"'
SELECT
    :'count'::bigint AS count,
    :'missing'::bigint AS missing,
    (
        SELECT
            pg_catalog.jsonb_agg(
                pg_catalog.to_jsonb(example) - 'evodoctor value' - 'evodoctor position'
                ORDER BY example."evodoctor value", example."evodoctor position"
            )
        FROM
            (
                SELECT
                    wanted.value AS "evodoctor value",
                    orphan.*
                FROM
                    -- In order, so that the rows of the first value may be enough.
                    (
                        SELECT :first_value AS value
                        FROM pg_catalog.jsonb_populate_recordset(CAST(NULL AS :child), :'first'::jsonb) AS first
                        ORDER BY value
                    ) AS wanted
                    CROSS JOIN LATERAL (
                        SELECT
                            few.*,
                            pg_catalog.row_number() OVER (ORDER BY :few_order) AS "evodoctor position"
                        FROM
                            -- To put a million rows of one value in order would take longer than to count them.
                            (SELECT :columns FROM :child WHERE :reference = wanted.value LIMIT 1000) AS few
                        ORDER BY
                            :few_order
                        LIMIT 5
                    ) AS orphan
                LIMIT 5
            ) AS example
    ) AS sample;
