-- The rows of one key that refer to nothing, in one range of its values: either the indexes of both sides are read in their
-- order and compared as a zip closes, or the hashes of what is missing are known already. Ranges share no value, so what
-- they find adds up.
-- Run by hand for one key, for example:
--   psql -v child='"public"."Media"' -v reference='"public"."Media"."messageId"' -v columns='"id", "messageId"'
--        -v orphan_order='orphan."id"' -v child_range='"public"."Media"."messageId" < ''cm5'''
--        -v orphaned='NOT EXISTS (SELECT FROM "public"."Message" AS parent WHERE parent."id" = "public"."Media"."messageId" AND parent."id" < ''cm5'')'
WITH missing AS MATERIALIZED (
    SELECT
        :reference AS value,
        pg_catalog.count(*) AS count
    FROM
        :child
    WHERE
        :child_range
        AND :orphaned
    GROUP BY
        :reference
)
SELECT
    (SELECT COALESCE(pg_catalog.sum(missing.count), 0)::bigint FROM missing) AS count,
    (SELECT pg_catalog.count(*) FROM missing) AS missing,
    (
        SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(example) - 'evodoctor position' ORDER BY example."evodoctor position")
        FROM
            (
                SELECT orphan.*, pg_catalog.row_number() OVER (ORDER BY :orphan_order) AS "evodoctor position"
                FROM
                    missing
                    -- The offset keeps the planner from walking all rows in the order of the primary key.
                    CROSS JOIN LATERAL (SELECT :columns FROM :child WHERE :reference = missing.value OFFSET 0) AS orphan
                ORDER BY
                    :orphan_order
                LIMIT 5
            ) AS example
    ) AS sample;
