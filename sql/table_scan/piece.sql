-- One piece of a large table, read from end to end for several checks at once. Of each that asks for rows their places
-- come back (ctid, six bytes each), of each that asks for values their hashes (eight bytes each), as one value for all
-- rows of the piece: row by row they would take longer to send than to find.
-- Run by hand, for example:
--   psql -v table='"public"."Message"' -v joins='' -v piece='"public"."Message".ctid < ''(1000,0)'''
--        -v wanted='pg_catalog.string_agg(pg_catalog.tidsend("public"."Message".ctid), '''') FILTER (WHERE "status" = ''1'')'
SELECT
    :wanted
FROM
    :table
    :joins
WHERE
    :piece;
