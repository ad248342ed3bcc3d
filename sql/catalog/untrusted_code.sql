-- Code that is not trusted and runs when one of the tables of Evolution's schema is planned, read or changed: functions that
-- hang on it as an index's expression, a policy, a trigger and so on. For a superuser that is the code of everybody who is none;
-- for others that of roles who are not trusted, unless Evolution's owner asks, whose server runs it anyway.
-- Run by hand: psql -v schema=public -v trusted="$(sed 's/;$//' sql/catalog/trusted_roles.sql)" -f sql/catalog/untrusted_code.sql
WITH
    trusted AS MATERIALIZED (
        :trusted
    ),
    asking AS MATERIALIZED (
        SELECT role.oid, role.rolsuper FROM pg_catalog.pg_roles AS role WHERE role.rolname = current_user
    ),
    role AS MATERIALIZED (
        SELECT role.oid, role.rolname, role.rolsuper FROM pg_catalog.pg_roles AS role
    ),
    relation AS MATERIALIZED (
        SELECT class.oid, class.relname, class.relowner, class.relkind
        FROM
            pg_catalog.pg_class AS class
            JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
        WHERE namespace.nspname = :'schema' AND class.relkind IN ('r', 'p', 'v', 'm', 'f')
    ),
    -- A partition and an heir are read and written with the table.
    member AS MATERIALIZED (
        SELECT relation.relname, relation.relowner, relation.oid FROM relation
        UNION ALL
        SELECT relation.relname, relation.relowner, heir.inhrelid
        FROM relation JOIN pg_catalog.pg_inherits AS heir ON heir.inhparent = relation.oid
    ),
    part AS (
        SELECT member.*, 'pg_catalog.pg_class'::pg_catalog.regclass AS classid, index.indexrelid AS objid, true AS on_read
        FROM member JOIN pg_catalog.pg_index AS index ON index.indrelid = member.oid
        UNION ALL
        -- What it is partitioned by.
        SELECT member.*, 'pg_catalog.pg_class'::pg_catalog.regclass, member.oid, true FROM member
        UNION ALL
        SELECT member.*, 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass, statistics.oid, true
        FROM member JOIN pg_catalog.pg_statistic_ext AS statistics ON statistics.stxrelid = member.oid
        UNION ALL
        SELECT member.*, 'pg_catalog.pg_policy'::pg_catalog.regclass, policy.oid, true
        FROM member JOIN pg_catalog.pg_policy AS policy ON policy.polrelid = member.oid
        UNION ALL
        SELECT member.*, 'pg_catalog.pg_rewrite'::pg_catalog.regclass, rule.oid, rule.ev_type = '1'
        FROM member JOIN pg_catalog.pg_rewrite AS rule ON rule.ev_class = member.oid
        UNION ALL
        SELECT member.*, 'pg_catalog.pg_constraint'::pg_catalog.regclass, key.oid, false
        FROM member JOIN pg_catalog.pg_constraint AS key ON key.conrelid = member.oid AND key.contype IN ('c', 'x')
        UNION ALL
        SELECT member.*, 'pg_catalog.pg_trigger'::pg_catalog.regclass, trigger.oid, false
        FROM member JOIN pg_catalog.pg_trigger AS trigger ON trigger.tgrelid = member.oid
        WHERE NOT trigger.tgisinternal AND trigger.tgenabled <> 'D'
        UNION ALL
        SELECT member.*, 'pg_catalog.pg_attrdef'::pg_catalog.regclass, preset.oid, attribute.attgenerated = 'v'
        FROM
            member
            JOIN pg_catalog.pg_attrdef AS preset ON preset.adrelid = member.oid
            JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = preset.adrelid AND attribute.attnum = preset.adnum
        UNION ALL
        SELECT member.*, 'pg_catalog.pg_constraint'::pg_catalog.regclass, domain.oid, false
        FROM
            member
            JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = member.oid AND NOT attribute.attisdropped
            JOIN pg_catalog.pg_constraint AS domain ON domain.contypid = attribute.atttypid
        UNION ALL
        SELECT member.*, 'pg_catalog.pg_cast'::pg_catalog.regclass, conversion.oid, true
        FROM
            member
            JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = member.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped
            -- Those of the server's own types come with it.
            JOIN pg_catalog.pg_type AS type ON type.oid = attribute.atttypid AND type.typnamespace <> 'pg_catalog'::pg_catalog.regnamespace
            JOIN pg_catalog.pg_cast AS conversion ON type.oid IN (conversion.castsource, conversion.casttarget)
    ),
    code AS (
        SELECT
            part.relname, part.relowner, part.on_read, function.proowner AS owner,
            pg_catalog.pg_describe_object(part.classid, part.objid, 0) AS what,
            pg_catalog.format('function %I.%I', namespace.nspname, function.proname) AS calls,
            function.proname AS callee
        FROM
            part
            JOIN pg_catalog.pg_depend AS depend
                ON depend.classid = part.classid AND depend.objid = part.objid
                AND depend.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
            JOIN pg_catalog.pg_proc AS function ON function.oid = depend.refobjid
            JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = function.pronamespace
        UNION ALL
        SELECT
            part.relname, part.relowner, part.on_read, function.proowner,
            pg_catalog.pg_describe_object(part.classid, part.objid, 0),
            pg_catalog.format('operator %I.%s', namespace.nspname, operator.oprname),
            operator.oprname
        FROM
            part
            JOIN pg_catalog.pg_depend AS depend
                ON depend.classid = part.classid AND depend.objid = part.objid
                AND depend.refclassid = 'pg_catalog.pg_operator'::pg_catalog.regclass
            JOIN pg_catalog.pg_operator AS operator ON operator.oid = depend.refobjid
            JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = operator.oprnamespace
            JOIN pg_catalog.pg_proc AS function ON function.oid = operator.oprcode
        UNION ALL
        -- A view runs what its owner has put into it, and a view of another's runs that too.
        SELECT
            part.relname, part.relowner, true, below.relowner,
            pg_catalog.pg_describe_object(part.classid, part.objid, 0),
            pg_catalog.format('%I.%I', namespace.nspname, below.relname),
            below.relname
        FROM
            part
            JOIN pg_catalog.pg_depend AS depend
                ON depend.classid = part.classid AND depend.objid = part.objid
                AND depend.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
            JOIN pg_catalog.pg_class AS below ON below.oid = depend.refobjid AND below.relkind IN ('v', 'f')
            JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = below.relnamespace
        WHERE part.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
        UNION ALL
        SELECT member.relname, member.relowner, true, heir.relowner, pg_catalog.format('table %I', member.relname), pg_catalog.format('heir %I', heir.relname), heir.relname
        FROM
            member
            JOIN pg_catalog.pg_class AS heir ON heir.oid = member.oid
        WHERE member.oid NOT IN (SELECT relation.oid FROM relation WHERE relation.relname = member.relname)
    )
SELECT DISTINCT
    code.relname::text AS table_name,
    pg_catalog.format('%s (%s)', code.what, code.calls) AS what,
    code.callee::text AS callee,
    role.rolname::text AS owner,
    code.on_read AS on_read,
    asking.rolsuper AS is_superuser
FROM
    asking
    CROSS JOIN code
    JOIN role ON role.oid = code.owner
WHERE
    NOT role.rolsuper
    AND role.oid <> asking.oid
    AND CASE
        -- A table of Evolution's own is no code; a view and a foreign table are.
        WHEN code.calls LIKE 'heir %' THEN role.oid NOT IN (SELECT trusted.oid FROM trusted)
        WHEN asking.rolsuper THEN true
        ELSE code.relowner <> asking.oid AND role.oid NOT IN (SELECT trusted.oid FROM trusted)
    END
ORDER BY
    table_name, what, owner;
