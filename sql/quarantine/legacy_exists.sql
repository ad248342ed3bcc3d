-- Whether there is the table in which versions up to ledger format 2 kept rows.
SELECT
    pg_catalog.to_regclass('"evodoctor"."quarantine"') IS NOT NULL AS exists;
