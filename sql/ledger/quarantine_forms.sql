-- In which forms rows are in the quarantine: that of today, and that of versions up to ledger format 2.
SELECT
    pg_catalog.to_regclass('"evodoctor"."quarantine_entry"') IS NOT NULL AS has_entries,
    pg_catalog.to_regclass('"evodoctor"."quarantine"') IS NOT NULL AS has_legacy;
