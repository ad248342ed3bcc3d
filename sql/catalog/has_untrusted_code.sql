-- Whether there is any code at all of a role that is neither a superuser nor this session's own: most databases have none, and
-- nothing more has to be asked of their tables (sql/catalog/untrusted_code.sql).
SELECT
    EXISTS (
        SELECT
        FROM
            pg_catalog.pg_proc AS function
            JOIN pg_catalog.pg_roles AS owner ON owner.oid = function.proowner
        WHERE NOT owner.rolsuper AND owner.rolname <> current_user
    )
    OR EXISTS (
        SELECT
        FROM
            pg_catalog.pg_class AS class
            JOIN pg_catalog.pg_roles AS owner ON owner.oid = class.relowner
        WHERE
            NOT owner.rolsuper
            AND owner.rolname <> current_user
            AND (
                class.relkind IN ('v', 'f')
                OR EXISTS (SELECT FROM pg_catalog.pg_inherits AS heir WHERE heir.inhrelid = class.oid)
            )
    ) AS has_code;
