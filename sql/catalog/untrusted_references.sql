-- What this transaction has made in Evolution's schema and Evolution's own role does not own, as the statements that hand it
-- over: a server that may not read its own table is as broken as one that lacks it.
-- Run by hand: psql -v schema=public -v owner=evolution -v known='["Instance"]' (the tables that were there before).
SELECT
    pg_catalog.format('ALTER TABLE %I.%I OWNER TO %I', namespace.nspname, class.relname, :'owner') AS statement
FROM
    pg_catalog.pg_class AS class
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE
    namespace.nspname = :'schema'
    AND class.relkind = 'r'
    AND pg_catalog.pg_get_userbyid(class.relowner) <> :'owner'
    AND NOT pg_catalog.jsonb_exists(:'known'::jsonb, class.relname)
UNION ALL
SELECT
    pg_catalog.format('ALTER TYPE %I.%I OWNER TO %I', namespace.nspname, type.typname, :'owner')
FROM
    pg_catalog.pg_type AS type
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = type.typnamespace
WHERE
    namespace.nspname = :'schema'
    AND type.typtype = 'e'
    AND pg_catalog.pg_get_userbyid(type.typowner) <> :'owner'
    -- Made here and now: no fix touches a type that was there.
    AND type.xmin::text::bigint = pg_catalog.txid_current() % 4294967296
ORDER BY
    statement;
