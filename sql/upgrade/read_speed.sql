-- How many blocks are read for the first rows of a table; whoever runs this takes the time. The inner LIMIT bounds it,
-- and since it stands in a subquery of its own, no index is of use.
SELECT
    pg_catalog.count(DISTINCT (target.ctid::text::point)[0])::bigint AS blocks,
    pg_catalog.current_setting('block_size')::bigint AS block_size
FROM
    (SELECT ctid FROM :table LIMIT :rows) AS target;
