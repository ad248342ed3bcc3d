-- The key was valid in the database that the dump comes from, though its rows are orphans there too: made as NOT VALID, it now
-- claims what it claimed. Only a superuser may say so, and only of a throwaway server's own copy.
-- Run by hand: psql -v schema=public -v table=Chat -v constraint=Chat_instanceId_fkey -f sql/restore/claim_validated.sql
UPDATE pg_catalog.pg_constraint AS declared
SET convalidated = TRUE
FROM
    pg_catalog.pg_class AS relation
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
WHERE
    declared.conrelid = relation.oid
    AND namespace.nspname = :'schema'
    AND relation.relname = :'table'
    AND declared.conname = :'constraint'
    AND declared.contype = 'f';
