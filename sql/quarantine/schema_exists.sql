-- Whether there is a schema of this name.
SELECT
    EXISTS (
        SELECT
        FROM pg_catalog.pg_namespace AS namespace
        WHERE namespace.nspname = :'name'
    ) AS exists;
