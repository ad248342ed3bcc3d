-- Lets other connections see exactly what this transaction sees, as long as it lasts.
SELECT pg_catalog.pg_export_snapshot() AS snapshot;
