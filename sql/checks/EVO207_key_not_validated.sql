-- code: EVO207
-- name: key-not-validated
-- title: foreign keys that check nothing
-- severity: warning
-- consequence: wrong-results
-- releases: 2.0.0-beta..
-- summary: a foreign key exists, but is not enforced or was never checked against old rows
-- why: A key whose triggers are disabled (ALTER TABLE … DISABLE TRIGGER, or a restore with --disable-triggers that was
--   interrupted) checks nothing: deleting an instance answers 200 and leaves its messages, chats and settings behind, and a new
--   instance of the same name does not get them back. A key that is NOT VALID checks new rows only: nothing fails today, but old
--   rows may be orphaned, and every dump keeps the key NOT VALID. EVO101 compares the rows themselves.
-- fix: safe
-- matches: NOT VALID
-- matches: DISABLE TRIGGER
-- matches: disable-triggers
-- matches: NOT ENFORCED
-- answers: exact="CONSTRAINT … NOT VALID"
-- answers: exact="FOREIGN KEY … NOT VALID"
-- answers: exact="NOT ENFORCED"
-- answers: exact="DISABLE TRIGGER"
-- answers: text="--disable-triggers"
WITH key AS (
    SELECT
        pg_constraint.oid,
        pg_constraint.conname,
        child.relname AS child_name,
        pg_constraint.convalidated,
        COALESCE((pg_catalog.to_jsonb(pg_constraint) ->> 'conenforced')::boolean, true) AS is_enforced,
        pg_catalog.obj_description(pg_constraint.oid, 'pg_constraint') IS NULL AND child.relkind = 'r' AS can_be_put_back,
        (
            SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('table', relation.relname, 'trigger', trigger.tgname) ORDER BY trigger.tgname)
            FROM
                pg_catalog.pg_trigger AS trigger
                JOIN pg_catalog.pg_class AS relation ON relation.oid = trigger.tgrelid
            WHERE
                trigger.tgconstraint = pg_constraint.oid
                AND trigger.tgenabled IN ('D', 'R')
        ) AS disabled
    FROM
        pg_catalog.pg_constraint
        JOIN pg_catalog.pg_class AS child ON child.oid = pg_constraint.conrelid
        JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = child.relnamespace
    WHERE
        namespace.nspname = :'schema'
        AND pg_constraint.contype = 'f'
        AND pg_constraint.conparentid = 0
)
SELECT
    key.child_name || '.' || key.conname AS subject,
    CASE
        WHEN NOT key.is_enforced THEN pg_catalog.format(
            'the key is declared NOT ENFORCED: the server checks no row; ALTER TABLE %I.%I ALTER CONSTRAINT %I ENFORCED is left to you',
            :'schema', key.child_name, key.conname
        )
        WHEN key.disabled IS NOT NULL THEN pg_catalog.concat(
            'the triggers that enforce the key are disabled: orphaned rows may be written or left behind',
            CASE WHEN NOT own.is_superuser THEN '; only a superuser may enable them (ALTER TABLE ... ENABLE TRIGGER ALL)' END
        )
        ELSE pg_catalog.concat(
            'the key is NOT VALID: it was never checked against existing rows',
            CASE WHEN NOT key.can_be_put_back THEN '; it has a comment or is of a partitioned table, so VALIDATE CONSTRAINT is left to you' END
        )
    END AS detail,
    NULL::text AS predicate,
    1::bigint AS count,
    COALESCE(key.disabled, '[]'::jsonb) AS sample,
    key.child_name || '.' || key.conname AS key,
    -- One that is only NOT VALID guards every new row.
    CASE WHEN key.is_enforced AND key.disabled IS NULL THEN 'advice' ELSE 'warning' END AS severity,
    key.is_enforced AND key.can_be_put_back AND (key.disabled IS NULL OR own.is_superuser) AS fixable
FROM
    key
    CROSS JOIN (
        SELECT COALESCE((SELECT role.rolsuper FROM pg_catalog.pg_roles AS role WHERE role.rolname = current_user), false) AS is_superuser
    ) AS own
WHERE
    NOT key.convalidated
    OR NOT key.is_enforced
    OR key.disabled IS NOT NULL
ORDER BY
    key.child_name, key.conname;
