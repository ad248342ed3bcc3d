-- The process that serves this connection, as long as the transaction lasts.
SELECT pg_catalog.pg_backend_pid() AS pid;
