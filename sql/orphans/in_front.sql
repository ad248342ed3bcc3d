-- Of the first rows of a table, in an order, the hash of a value and the place, as one value each. Where most rows are wrong,
-- the first five of those are among them.
-- Run by hand, for example:
--   psql -v table='"public"."MessageUpdate"' -v hash='pg_catalog.hashtextextended("keyId", 0)' -v place='"public"."MessageUpdate".ctid'
--        -v condition=true -v order='"id"' -v limit=1000
SELECT
    pg_catalog.string_agg(pg_catalog.int8send(front.hash), ''::bytea) AS hashes,
    pg_catalog.string_agg(pg_catalog.tidsend(front.place), ''::bytea) AS places
FROM
    (
        SELECT
            :hash AS hash,
            :place AS place
        FROM
            :table
        WHERE
            :condition
        ORDER BY
            :order
        LIMIT :'limit'::bigint
    ) AS front;
