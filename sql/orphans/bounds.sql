-- Values that cut a column into so many ranges of about as many rows, in order, from the histogram that ANALYZE made;
-- no row where there is none. As text, which the column's type reads back.
SELECT DISTINCT ON (cut.position)
    histogram.bounds[cut.position] AS bound
FROM
    (
        SELECT statistics.histogram_bounds::text::text[] AS bounds
        FROM pg_catalog.pg_stats AS statistics
        WHERE
            statistics.schemaname = :'schema'
            AND statistics.tablename = :'table_name'
            AND statistics.attname = :'column_name'
            AND NOT statistics.inherited
    ) AS histogram
    CROSS JOIN LATERAL (
        SELECT (1 + number * (pg_catalog.cardinality(histogram.bounds) - 1) / :'ranges'::integer) AS position
        FROM pg_catalog.generate_series(1, :'ranges'::integer - 1) AS number
    ) AS cut
WHERE
    cut.position > 1
    AND cut.position < pg_catalog.cardinality(histogram.bounds)
ORDER BY
    cut.position;
