-- Of the first rows of a table, in an order, the hash of a value and the ctid, as one value each. Where most rows are wrong,
-- the first five of those are among them.
-- Run by hand, for example:
--   psql -v table='"public"."MessageUpdate"' -v hash='pg_catalog.hashtextextended("keyId", 0)' -v ctid='"public"."MessageUpdate".ctid'
--        -v condition=true -v order='"id"' -v limit=1000
SELECT
    pg_catalog.string_agg(pg_catalog.int8send(first_rows.hash), ''::bytea) AS hashes,
    pg_catalog.string_agg(pg_catalog.tidsend(first_rows.row_ctid), ''::bytea) AS ctids
FROM
    (
        SELECT
            :hash AS hash,
            :ctid AS row_ctid
        FROM
            :table
        WHERE
            :condition
        ORDER BY
            :order
        LIMIT :'limit'::bigint
    ) AS first_rows;
