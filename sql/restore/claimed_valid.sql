-- A key that claimed to be valid where it was dumped, although rows break it: here it was added NOT VALID, because no server
-- adds it otherwise, and it claims the same again. As superuser, on the throwaway server.
SET allow_system_table_mods = ON;

UPDATE
    pg_catalog.pg_constraint AS constraints
SET
    convalidated = TRUE
WHERE
    constraints.conname = :'constraint'
    AND constraints.contype = 'f'
    AND constraints.conrelid = pg_catalog.to_regclass(pg_catalog.format('%I.%I', :'schema', :'table'));
