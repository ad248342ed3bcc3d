-- How many rows, or values of a column, there are to lose.
SELECT pg_catalog.count(:what)::bigint AS count FROM :table;
