-- Whether there is a schema of the ledger's name, and whether this role could create one. Most databases have none, and nothing more
-- has to be asked of it (sql/ledger/state.sql).
SELECT
    EXISTS (SELECT FROM pg_catalog.pg_namespace AS namespace WHERE namespace.nspname = 'evodoctor') AS exists,
    pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE') AS can_create;
