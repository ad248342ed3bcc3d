-- The snapshot of an examination stands in nobody's way. Reading takes ACCESS SHARE, which keeps only those waiting who
-- want a table for themselves alone; behind such a one it does not queue for ever. A shorter limit of the role's own
-- holds.
SELECT
    pg_catalog.set_config('lock_timeout', '3s', true)
WHERE
    NOT pg_catalog.current_setting('lock_timeout')::interval BETWEEN '1ms' AND '3s';

-- A superuser opens no view and no foreign table (servers of 2024 on know how to forbid it), unless one of a superuser's
-- stands in the place of a table of Evolution's.
SELECT
    pg_catalog.set_config('restrict_nonsystem_relation_kind', 'view, foreign-table', true)
WHERE
    pg_catalog.current_setting('restrict_nonsystem_relation_kind', true) IS NOT NULL
    AND EXISTS (SELECT FROM pg_catalog.pg_roles AS asking WHERE asking.rolname = current_user AND asking.rolsuper)
    AND NOT EXISTS (
        SELECT
        FROM
            pg_catalog.pg_class AS instance
            JOIN pg_catalog.pg_class AS other ON other.relnamespace = instance.relnamespace
            JOIN pg_catalog.pg_roles AS owner ON owner.oid = other.relowner
        WHERE instance.relname = 'Instance' AND other.relkind IN ('v', 'f') AND owner.rolsuper
    );
