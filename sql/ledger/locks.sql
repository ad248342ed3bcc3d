-- One change at a time: our own lock, and the one that Prisma's migrations take (72707369), both until the end of the
-- transaction. A pooler cannot keep them.
SELECT
    pg_catalog.pg_try_advisory_xact_lock(7312068550316404590) AS is_ours,
    pg_catalog.pg_try_advisory_xact_lock(72707369) AS is_prismas;
