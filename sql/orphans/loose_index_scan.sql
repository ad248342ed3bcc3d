-- The rows of one key that refer to nothing, by a loose scan of the index on the referring column: from each value the
-- next greater one is looked up, so that what it costs depends on how many values there are and not on how many rows.
-- Only values that are missing are counted. It gives up after a number of values, and is_complete tells.
-- Run by hand for one key, for example:
--   psql -v child='"public"."Message"' -v reference='"public"."Message"."instanceId"' -v reference_name=instanceId
--        -v parent='"public"."Instance"' -v parent_value='parent."id"' -v limit=10000
WITH RECURSIVE walk (value, position) AS (
    (SELECT :reference, 1 FROM :child WHERE :reference IS NOT NULL ORDER BY :reference LIMIT 1)
    UNION ALL
    SELECT
        (SELECT :reference FROM :child WHERE :reference > walk.value ORDER BY :reference LIMIT 1),
        walk.position + 1
    FROM
        walk
    WHERE
        walk.value IS NOT NULL
        AND walk.position <= :'limit'::integer
),
-- Past the last value stands a null.
course AS MATERIALIZED (
    SELECT COALESCE(pg_catalog.bool_or(walk.value IS NULL), true) AS is_complete FROM walk
),
missing AS MATERIALIZED (
    SELECT
        walk.value,
        (SELECT pg_catalog.count(*) FROM :child WHERE :reference = walk.value) AS count,
        pg_catalog.row_number() OVER (ORDER BY walk.position) AS position
    FROM
        walk
    WHERE
        walk.value IS NOT NULL
        AND (SELECT course.is_complete FROM course)
        AND NOT EXISTS (SELECT FROM :parent AS parent WHERE :parent_value = walk.value)
)
SELECT
    COALESCE(pg_catalog.sum(missing.count), 0)::bigint AS count,
    pg_catalog.count(*) AS missing,
    pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(:'reference_name', missing.value) ORDER BY missing.position)
        FILTER (WHERE missing.position <= 5) AS first,
    (SELECT course.is_complete FROM course) AS is_complete
FROM
    missing;
