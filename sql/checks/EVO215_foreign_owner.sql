-- code: EVO215
-- name: foreign-owner
-- title: objects owned by another role
-- severity: advice
-- consequence: none
-- releases: 2.0.0-beta..
-- summary: a table, key or function that Evolution's tables use belongs to another role
-- why: The owner of a table, or of a function that an index, a trigger or a view of it calls, decides what code runs when others
--   read it: even the planner runs a function in an index's predicate. evodoctor therefore examines and repairs only what belongs
--   to the owner of Evolution's tables, to its own role, or to a superuser, and as a superuser runs no code of other roles. The
--   objects named here are left out, and a fix that would have to change them is refused. To include them, give the table or the
--   function to Evolution's owner (ALTER TABLE … OWNER TO, ALTER FUNCTION … OWNER TO), or connect as that owner.
-- first: EXISTS (
--     SELECT FROM pg_catalog.pg_class AS class
--     WHERE class.relowner NOT IN (SELECT role.oid FROM pg_catalog.pg_roles AS role WHERE role.rolsuper OR role.rolname = current_user)
--   ) OR EXISTS (
--     SELECT FROM pg_catalog.pg_proc AS function
--     WHERE function.proowner NOT IN (SELECT role.oid FROM pg_catalog.pg_roles AS role WHERE role.rolsuper OR role.rolname = current_user)
--   )
-- fix: manual
-- matches: belongs to role … not examined
WITH
    trusted AS MATERIALIZED (
        :trusted
    ),
    code AS (
        :code
    ),
    relation AS (
        SELECT class.oid, class.relname, class.relowner, namespace.nspname
        FROM
            pg_catalog.pg_class AS class
            JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
    ),
    found AS (
        SELECT
            relation.relname::text AS subject,
            pg_catalog.format('belongs to role %I: not examined', pg_catalog.pg_get_userbyid(relation.relowner)) AS detail,
            pg_catalog.pg_get_userbyid(relation.relowner)::text AS owner
        FROM relation
        WHERE
            relation.nspname = :'schema'
            AND pg_catalog.jsonb_exists(:'tables'::jsonb, relation.relname)
            AND relation.relowner NOT IN (SELECT trusted.oid FROM trusted)
        UNION ALL
        SELECT
            child.relname || '.' || key.conname,
            pg_catalog.format(
                'refers from %I.%I to %I.%I, which belong to %I and %I: neither compared nor validated',
                child.nspname, child.relname, parent.nspname, parent.relname,
                pg_catalog.pg_get_userbyid(child.relowner), pg_catalog.pg_get_userbyid(parent.relowner)
            ),
            CASE
                WHEN child.relowner NOT IN (SELECT trusted.oid FROM trusted) THEN pg_catalog.pg_get_userbyid(child.relowner)::text
                ELSE pg_catalog.pg_get_userbyid(parent.relowner)::text
            END
        FROM
            pg_catalog.pg_constraint AS key
            JOIN relation AS child ON child.oid = key.conrelid
            JOIN relation AS parent ON parent.oid = key.confrelid
        WHERE
            key.contype = 'f'
            AND (
                child.nspname = :'schema' AND pg_catalog.jsonb_exists(:'tables'::jsonb, child.relname)
                OR parent.nspname = :'schema' AND pg_catalog.jsonb_exists(:'tables'::jsonb, parent.relname)
            )
            -- Of a table of Evolution's it is said above.
            AND (
                child.relowner NOT IN (SELECT trusted.oid FROM trusted)
                AND NOT (child.nspname = :'schema' AND pg_catalog.jsonb_exists(:'tables'::jsonb, child.relname))
                OR parent.relowner NOT IN (SELECT trusted.oid FROM trusted)
                AND NOT (parent.nspname = :'schema' AND pg_catalog.jsonb_exists(:'tables'::jsonb, parent.relname))
            )
        UNION ALL
        SELECT
            code.table_name || '.' || code.callee,
            pg_catalog.format(
                '%s is code of role %I: %s', code.what, code.owner,
                CASE WHEN code.on_read THEN 'the table is not examined' ELSE 'the table is not changed' END
            ),
            code.owner
        FROM code
        WHERE pg_catalog.jsonb_exists(:'tables'::jsonb, code.table_name)
    )
SELECT
    found.subject AS subject,
    pg_catalog.min(found.detail) AS detail,
    NULL::text AS predicate,
    1::bigint AS count,
    pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object('owner', pg_catalog.min(found.owner))) AS sample,
    found.subject AS key
FROM
    found
GROUP BY
    found.subject
ORDER BY
    found.subject;
