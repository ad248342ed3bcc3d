-- Of the tables that are asked about, those without a single row. Run by hand for one, for example:
--   psql -v tables="CASE WHEN NOT EXISTS (SELECT FROM \"public\".\"Chat\") THEN 'Chat' END"
SELECT pg_catalog.array_remove(ARRAY[:tables]::text[], NULL) AS empty;
