-- The ledger, where there is one: in which format, whether this role could use it, and why it is not to be trusted: from the
-- catalog alone, as reading a view would run whatever its owner has put into it.
-- Run by hand: psql -v schema=public -v trusted="$(sed 's/;$//' sql/catalog/trusted_roles.sql)" -f sql/ledger/state.sql
WITH
    trusted AS MATERIALIZED (
        :trusted
    ),
    own AS (
        SELECT namespace.*
        FROM pg_catalog.pg_namespace AS namespace
        WHERE namespace.nspname = 'evodoctor'
    ),
    relation AS (
        SELECT class.*
        FROM own JOIN pg_catalog.pg_class AS class ON class.relnamespace = own.oid
    ),
    writer AS (
        SELECT relation.relname::text AS relname, relation.relowner AS role
        FROM relation
        WHERE relation.relkind = 'r'
        UNION
        SELECT relation.relname::text, granted.grantee
        FROM relation CROSS JOIN LATERAL pg_catalog.aclexplode(relation.relacl) AS granted
        WHERE relation.relkind = 'r' AND granted.privilege_type NOT IN ('SELECT', 'MAINTAIN')
        UNION
        SELECT relation.relname::text, granted.grantee
        FROM
            relation
            JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = relation.oid
            CROSS JOIN LATERAL pg_catalog.aclexplode(attribute.attacl) AS granted
        WHERE relation.relkind = 'r' AND granted.privilege_type <> 'SELECT'
    ),
    -- 0 is PUBLIC.
    problem AS (
        SELECT 1 AS rank, pg_catalog.format('the schema belongs to %I', pg_catalog.pg_get_userbyid(own.nspowner)) AS what
        FROM own
        WHERE own.nspowner NOT IN (SELECT trusted.oid FROM trusted)
        UNION ALL
        SELECT 2, pg_catalog.format('%I may create objects in it', COALESCE(grantee.rolname, 'public'))
        FROM
            own
            CROSS JOIN LATERAL pg_catalog.aclexplode(own.nspacl) AS granted
            LEFT JOIN pg_catalog.pg_roles AS grantee ON grantee.oid = granted.grantee
        WHERE granted.privilege_type = 'CREATE' AND granted.grantee NOT IN (SELECT trusted.oid FROM trusted)
        UNION ALL
        SELECT
            3,
            pg_catalog.format(
                '%I is no ordinary table but %s', relation.relname,
                CASE relation.relkind
                    WHEN 'v' THEN 'a view' WHEN 'm' THEN 'a materialized view' WHEN 'f' THEN 'a foreign table'
                    WHEN 'p' THEN 'a partitioned table' WHEN 'S' THEN 'a sequence' ELSE 'a type'
                END
            )
        FROM relation
        WHERE relation.relkind NOT IN ('r', 'i')
        UNION ALL
        SELECT
            4,
            CASE
                WHEN writer.role = 0 THEN pg_catalog.format('everybody may write to %I', writer.relname)
                WHEN EXISTS (SELECT FROM relation WHERE relation.relname = writer.relname AND relation.relowner = writer.role)
                    THEN pg_catalog.format('%I belongs to %I', writer.relname, pg_catalog.pg_get_userbyid(writer.role))
                ELSE pg_catalog.format('%I may write to %I', pg_catalog.pg_get_userbyid(writer.role), writer.relname)
            END
        FROM writer
        WHERE writer.role NOT IN (SELECT trusted.oid FROM trusted)
        UNION ALL
        SELECT 5, pg_catalog.format('%I has the trigger %I', relation.relname, trigger.tgname)
        FROM relation JOIN pg_catalog.pg_trigger AS trigger ON trigger.tgrelid = relation.oid AND NOT trigger.tgisinternal
        UNION ALL
        SELECT 5, pg_catalog.format('%I has the rule %I', relation.relname, rule.rulename)
        FROM relation JOIN pg_catalog.pg_rewrite AS rule ON rule.ev_class = relation.oid
        WHERE relation.relkind = 'r'
        UNION ALL
        SELECT 5, pg_catalog.format('%I has the policy %I', relation.relname, policy.polname)
        FROM relation JOIN pg_catalog.pg_policy AS policy ON policy.polrelid = relation.oid
        UNION ALL
        SELECT 5, pg_catalog.format('%I has heirs or is one', relation.relname)
        FROM relation
        WHERE
            relation.relkind = 'r'
            AND EXISTS (SELECT FROM pg_catalog.pg_inherits AS heir WHERE relation.oid IN (heir.inhparent, heir.inhrelid))
        UNION ALL
        SELECT 6, pg_catalog.format('the column %I of %I is of the type %s', attribute.attname, relation.relname, pg_catalog.format_type(attribute.atttypid, NULL))
        FROM
            relation
            JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = relation.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped
            JOIN pg_catalog.pg_type AS type ON type.oid = attribute.atttypid
        WHERE relation.relkind = 'r' AND type.typnamespace <> 'pg_catalog'::pg_catalog.regnamespace
        UNION ALL
        -- What belongs to the server itself is in no such list.
        SELECT
            7,
            pg_catalog.format(
                '%s calls %s', pg_catalog.pg_describe_object(part.classid, part.objid, part.objsubid),
                pg_catalog.pg_describe_object(code.refclassid, code.refobjid, 0)
            )
        FROM
            relation
            JOIN pg_catalog.pg_depend AS part
                ON part.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND part.refobjid = relation.oid
            JOIN pg_catalog.pg_depend AS code ON code.classid = part.classid AND code.objid = part.objid
        WHERE
            code.refclassid IN (
                'pg_catalog.pg_proc'::pg_catalog.regclass, 'pg_catalog.pg_operator'::pg_catalog.regclass,
                'pg_catalog.pg_opclass'::pg_catalog.regclass
            )
            AND part.classid <> 'pg_catalog.pg_rewrite'::pg_catalog.regclass
    )
SELECT
    pg_catalog.obj_description(own.oid, 'pg_namespace') AS comment,
    COALESCE(pg_catalog.has_schema_privilege(own.oid, 'USAGE'), false) AS is_usable,
    COALESCE(
        pg_catalog.has_schema_privilege(own.oid, 'USAGE')
        AND (
            SELECT pg_catalog.bool_and(pg_catalog.has_table_privilege(relation.oid, 'SELECT'))
            FROM relation
            WHERE relation.relname IN ('run', 'applied_fix', 'quarantine', 'quarantine_entry')
        ),
        false
    ) AS is_readable,
    COALESCE(pg_catalog.pg_has_role(own.nspowner, 'USAGE'), false) AS is_owned,
    pg_catalog.pg_get_userbyid(own.nspowner)::text AS owner,
    -- The schema may have been given to another role without what is in it.
    (
        SELECT pg_catalog.min(pg_catalog.pg_get_userbyid(relation.relowner)::text)
        FROM relation
        WHERE relation.relkind = 'r' AND NOT pg_catalog.pg_has_role(relation.relowner, 'USAGE')
    ) AS tables_owner,
    -- Who could have written what another role is to run.
    (
        SELECT pg_catalog.min(role.rolname::text)
        FROM writer JOIN pg_catalog.pg_roles AS role ON role.oid = writer.role
        WHERE NOT role.rolsuper AND role.rolname <> current_user
    ) AS other_writer,
    (
        SELECT pg_catalog.string_agg(few.what, '; ' ORDER BY few.rank, few.what)
        FROM (SELECT DISTINCT problem.rank, problem.what FROM problem ORDER BY problem.rank, problem.what LIMIT 3) AS few
    ) AS distrust
FROM
    own;
