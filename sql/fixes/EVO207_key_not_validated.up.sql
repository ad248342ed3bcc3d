-- code: EVO207
-- version: 1
-- applicability: safe
-- hazards: blocks-writes
-- tables: found
-- after 2.0.0-beta..: nothing changes for the API where the key was only NOT VALID. Where its triggers were disabled, deleting
--   an instance takes its rows along again, and a write that refers to nothing is refused again (P2003).
-- Rows that refer to nothing would stop this; EVO101 treats them, and comes first in the same run.

-- The triggers first: a key is validated, and built, by what enforces it.
SELECT
    pg_catalog.format('ALTER TABLE %I.%I ENABLE TRIGGER %I', namespace.nspname, relation.relname, trigger.tgname) AS statement,
    pg_catalog.format(
        'ALTER TABLE %I.%I %s TRIGGER %I',
        namespace.nspname, relation.relname, CASE trigger.tgenabled WHEN 'D' THEN 'DISABLE' ELSE 'ENABLE REPLICA' END, trigger.tgname
    ) AS undo
FROM
    pg_catalog.pg_constraint AS key
    JOIN pg_catalog.pg_class AS child ON child.oid = key.conrelid
    JOIN pg_catalog.pg_namespace AS child_namespace ON child_namespace.oid = child.relnamespace
    JOIN pg_catalog.pg_trigger AS trigger ON trigger.tgconstraint = key.oid
    JOIN pg_catalog.pg_class AS relation ON relation.oid = trigger.tgrelid
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
WHERE
    child_namespace.nspname = :'schema'
    AND key.contype = 'f'
    AND trigger.tgenabled IN ('D', 'R')
    AND pg_catalog.jsonb_exists(:'found'::jsonb, child.relname || '.' || key.conname)
ORDER BY
    child.relname, key.conname, trigger.tgname;

SELECT
    pg_catalog.format('ALTER TABLE %I.%I VALIDATE CONSTRAINT %I', namespace.nspname, child.relname, key.conname) AS statement,
    -- The definition ends in NOT VALID as long as it is so.
    pg_catalog.format(
        'ALTER TABLE %1$I.%2$I DROP CONSTRAINT %3$I; ALTER TABLE %1$I.%2$I ADD CONSTRAINT %3$I %4$s',
        namespace.nspname, child.relname, key.conname, pg_catalog.pg_get_constraintdef(key.oid)
    ) AS undo
FROM
    pg_catalog.pg_constraint AS key
    JOIN pg_catalog.pg_class AS child ON child.oid = key.conrelid
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = child.relnamespace
WHERE
    namespace.nspname = :'schema'
    AND key.contype = 'f'
    AND NOT key.convalidated
    AND pg_catalog.jsonb_exists(:'found'::jsonb, child.relname || '.' || key.conname)
ORDER BY
    child.relname, key.conname;
