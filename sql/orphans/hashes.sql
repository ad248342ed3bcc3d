-- A hash of every value of a column in one range, eight bytes each, as one value: row by row they would take longer to send
-- than to find. Run by hand, for example:
--   psql -v table='"public"."Media"' -v hash='pg_catalog.hashtextextended("public"."Media"."messageId" COLLATE "C", 0)'
--        -v range='"public"."Media"."messageId" < ''cm5'''
SELECT
    pg_catalog.string_agg(pg_catalog.int8send(:hash), ''::bytea) AS hashes
FROM
    :table
WHERE
    :range;
