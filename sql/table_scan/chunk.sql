-- One chunk of a large table, read for several checks at once. Each check that asks for rows gets their ctids (six bytes each),
-- each that asks for values their hashes (eight bytes each), as one value for all rows of the chunk: to send them row by row would
-- take longer than to find them.
-- Run by hand, for example:
--   psql -v table='"public"."Message"' -v joins='' -v chunk='"public"."Message".ctid < ''(1000,0)'''
--        -v wanted='pg_catalog.string_agg(pg_catalog.tidsend("public"."Message".ctid), '''') FILTER (WHERE "status" = ''1'')'
SELECT
    :wanted
FROM
    :table
    :joins
WHERE
    :chunk;
