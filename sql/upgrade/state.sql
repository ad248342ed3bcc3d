-- What a migration may meet in Evolution's schema, as one document: every name that is taken, the columns, and what
-- depends on tables, columns and types so that Postgres refuses to drop or alter them.
WITH namespace AS (
    SELECT oid
    FROM pg_catalog.pg_namespace
    WHERE nspname = :'schema'
),
relation AS (
    SELECT relation.*
    FROM
        namespace
        JOIN pg_catalog.pg_class AS relation ON relation.relnamespace = namespace.oid
),
own_table AS (
    SELECT * FROM relation WHERE relkind IN ('r', 'p')
),
-- An object that goes along with the table, such as a rule on it, never stands in the way of dropping it.
dependent AS (
    SELECT
        own_table.relname AS "table",
        attribute.attname AS "column",
        depend.deptype = 'n' AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_depend AS along
            WHERE
                along.classid = depend.classid AND along.objid = depend.objid AND along.refobjid = depend.refobjid
                AND along.deptype IN ('a', 'i') AND along.refobjsubid IN (0, depend.refobjsubid)
        ) AS keeps_column,
        depend.deptype = 'n' AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_depend AS along
            WHERE
                along.classid = depend.classid AND along.objid = depend.objid AND along.refobjid = own_table.oid
                AND along.deptype IN ('a', 'i')
        ) AND depend.objid <> own_table.oid AND COALESCE(preset.adrelid, 0) <> own_table.oid AS keeps_table,
        -- A column's own default, the indexes and the constraints are made anew with it.
        depend.refobjsubid > 0 AND (
            depend.classid IN (
                'pg_catalog.pg_rewrite'::pg_catalog.regclass, 'pg_catalog.pg_trigger'::pg_catalog.regclass,
                'pg_catalog.pg_policy'::pg_catalog.regclass, 'pg_catalog.pg_proc'::pg_catalog.regclass,
                'pg_catalog.pg_publication_rel'::pg_catalog.regclass
            )
            OR (preset.oid IS NOT NULL AND preset.adnum <> depend.refobjsubid)
            OR (depend.objid = own_table.oid AND depend.objsubid NOT IN (0, depend.refobjsubid))
        ) AS keeps_type,
        preset.oid IS NOT NULL OR depend.objid = own_table.oid AS is_generated,
        key.conname AS key,
        COALESCE(
            CASE view.relkind WHEN 'v' THEN 'view ' || view.relname WHEN 'm' THEN 'materialized view ' || view.relname END,
            pg_catalog.pg_describe_object(depend.classid, depend.objid, depend.objsubid)
        ) AS what
    FROM
        own_table
        JOIN pg_catalog.pg_depend AS depend
            ON (depend.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND depend.refobjid = own_table.oid)
            OR (depend.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND depend.refobjid = own_table.reltype)
        LEFT JOIN pg_catalog.pg_attribute AS attribute
            ON attribute.attrelid = depend.refobjid AND attribute.attnum = depend.refobjsubid AND depend.refobjsubid > 0
        LEFT JOIN pg_catalog.pg_attrdef AS preset
            ON depend.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND preset.oid = depend.objid
        LEFT JOIN pg_catalog.pg_constraint AS key
            ON depend.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND key.oid = depend.objid AND key.contype = 'f'
        LEFT JOIN pg_catalog.pg_rewrite AS rewrite
            ON depend.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND rewrite.oid = depend.objid
        LEFT JOIN pg_catalog.pg_class AS view ON view.oid = rewrite.ev_class
)
SELECT
    pg_catalog.jsonb_build_object(
        'relations', (SELECT COALESCE(pg_catalog.jsonb_object_agg(relation.relname, relation.relkind::text), '{}'::jsonb) FROM relation),
        'types', (
            SELECT COALESCE(pg_catalog.jsonb_object_agg(
                type.typname,
                ARRAY(SELECT label.enumlabel FROM pg_catalog.pg_enum AS label WHERE label.enumtypid = type.oid ORDER BY label.enumsortorder)
            ), '{}'::jsonb)
            FROM
                namespace
                JOIN pg_catalog.pg_type AS type ON type.typnamespace = namespace.oid
            -- The array of another type gives way to a new type of its name.
            WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_type AS element WHERE element.typarray = type.oid)
        ),
        'columns', (
            SELECT COALESCE(pg_catalog.jsonb_object_agg(each.relname, each.columns), '{}'::jsonb)
            FROM (
                SELECT
                    own_table.relname,
                    pg_catalog.jsonb_object_agg(
                        attribute.attname,
                        pg_catalog.replace(pg_catalog.format_type(attribute.atttypid, attribute.atttypmod), pg_catalog.format('%I.', :'schema'), '')
                    ) AS columns
                FROM
                    own_table
                    JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = own_table.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped
                GROUP BY
                    own_table.relname
            ) AS each
        ),
        'constraints', (
            SELECT COALESCE(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(own_table.relname, one.conname, parent.relname)), '[]'::jsonb)
            FROM
                own_table
                JOIN pg_catalog.pg_constraint AS one ON one.conrelid = own_table.oid
                LEFT JOIN pg_catalog.pg_class AS parent ON parent.oid = one.confrelid AND one.confrelid <> 0
        ),
        -- Indexes that belong to a constraint cannot be dropped without it.
        'constraint_indexes', (
            SELECT COALESCE(pg_catalog.jsonb_agg(index.relname), '[]'::jsonb)
            FROM
                relation AS index
                JOIN pg_catalog.pg_constraint AS one ON one.conindid = index.oid AND one.contype IN ('p', 'u', 'x')
        ),
        'dependents', (
            SELECT COALESCE(pg_catalog.jsonb_agg(DISTINCT pg_catalog.to_jsonb(dependent)), '[]'::jsonb)
            FROM dependent
            WHERE dependent.keeps_column OR dependent.keeps_table OR dependent.keeps_type
        ),
        'type_users', (
            SELECT COALESCE(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                'type', type.typname,
                'table', user_of.relname,
                'column', attribute.attname,
                'what', pg_catalog.pg_describe_object(depend.classid, depend.objid, depend.objsubid)
            )), '[]'::jsonb)
            FROM
                namespace
                JOIN pg_catalog.pg_type AS type ON type.typnamespace = namespace.oid AND type.typtype = 'e'
                JOIN pg_catalog.pg_depend AS depend
                    ON depend.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND depend.refobjid IN (type.oid, type.typarray) AND depend.deptype = 'n'
                LEFT JOIN own_table AS user_of ON depend.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND user_of.oid = depend.objid
                LEFT JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = user_of.oid AND attribute.attnum = depend.objsubid
        ),
        'sizes', (
            SELECT COALESCE(pg_catalog.jsonb_object_agg(own_table.relname, pg_catalog.jsonb_build_object(
                'bytes', pg_catalog.pg_table_size(own_table.oid),
                'heap_bytes', pg_catalog.pg_relation_size(own_table.oid),
                'index_bytes', pg_catalog.pg_indexes_size(own_table.oid),
                'rows', GREATEST(own_table.reltuples, 0)::bigint
            )), '{}'::jsonb)
            FROM own_table
        ),
        -- As the owner of the table sees them: Evolution connects as that role.
        'wavoip_elsewhere', (
            SELECT COALESCE(pg_catalog.jsonb_agg(DISTINCT other_namespace.nspname), '[]'::jsonb)
            FROM
                own_table
                JOIN pg_catalog.pg_class AS other ON other.relname = 'Setting' AND other.relkind IN ('r', 'v', 'f', 'p') AND other.oid <> own_table.oid
                JOIN pg_catalog.pg_namespace AS other_namespace ON other_namespace.oid = other.relnamespace
                JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = other.oid AND attribute.attname = 'wavoipToken' AND NOT attribute.attisdropped
            WHERE
                own_table.relname = 'Setting'
                AND (
                    pg_catalog.pg_has_role(own_table.relowner, other.relowner, 'USAGE')
                    OR pg_catalog.has_column_privilege(own_table.relowner, other.oid, attribute.attnum, 'SELECT, INSERT, UPDATE, REFERENCES')
                )
        ),
        'public', (
            SELECT COALESCE(pg_catalog.jsonb_agg(other.relname), '[]'::jsonb)
            FROM
                pg_catalog.pg_class AS other
                JOIN pg_catalog.pg_namespace AS other_namespace ON other_namespace.oid = other.relnamespace AND other_namespace.nspname = 'public'
            WHERE other.relname IN ('Instance', 'Kafka', 'Kafka_pkey', 'Kafka_instanceId_key')
        ),
        'server', pg_catalog.current_setting('server_version_num')::integer
    ) AS state;
