-- A foreign key as the server itself writes it down, behind its name.
SELECT
    pg_catalog.pg_get_constraintdef(key.oid) AS definition
FROM
    pg_catalog.pg_constraint AS key
    JOIN pg_catalog.pg_class AS child ON child.oid = key.conrelid
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = child.relnamespace
WHERE
    key.contype = 'f'
    AND namespace.nspname = :'schema'
    AND child.relname = :'table_name'
    AND key.conname = :'constraint';
