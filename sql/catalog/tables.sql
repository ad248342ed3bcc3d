-- The tables of Evolution's schema: their columns, which of them may be null, the primary key, who owns them, and how
-- large the statistics say that they are. To measure them would wait for whoever has them locked.
-- Run by hand: psql -v schema=public -v trusted="$(sed 's/;$//' sql/catalog/trusted_roles.sql)" -f sql/catalog/tables.sql
SELECT
    relation.relname::text AS name,
    relation.relkind::text AS kind,
    pg_catalog.pg_get_userbyid(relation.relowner)::text AS owner,
    current_user::text AS asking,
    relation.relowner IN (:trusted)
    -- A view and a foreign table run what their owner has put into them.
    AND NOT (
        relation.relkind IN ('v', 'f')
        AND EXISTS (SELECT FROM pg_catalog.pg_roles AS asking WHERE asking.rolname = current_user AND asking.rolsuper)
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles AS owner WHERE owner.oid = relation.relowner AND owner.rolsuper)
    ) AS is_trusted,
    pg_catalog.pg_has_role(relation.relowner, 'USAGE') AS is_owned,
    -- Since PostgreSQL 16 a member may be kept from one or the other.
    pg_catalog.pg_has_role(
        relation.relowner, CASE WHEN pg_catalog.current_setting('server_version_num')::integer < 160000 THEN 'MEMBER' ELSE 'SET' END
    ) AS may_become_owner,
    -- An owner may have taken rights from itself, and FORCE ROW LEVEL SECURITY holds for it too.
    ARRAY(
        SELECT needed.privilege
        FROM (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE')) AS needed (privilege)
        WHERE NOT pg_catalog.has_table_privilege(relation.oid, needed.privilege)
    ) AS lacks,
    pg_catalog.row_security_active(relation.oid) AS hides_rows,
    pg_catalog.has_schema_privilege(namespace.oid, 'CREATE') AS may_create,
    -- A grant on every column is as good as one on the table.
    pg_catalog.has_schema_privilege(namespace.oid, 'USAGE') AND (
        pg_catalog.has_table_privilege(relation.oid, 'SELECT')
        OR NOT EXISTS (
            SELECT
            FROM pg_catalog.pg_attribute AS attribute
            WHERE attribute.attrelid = relation.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped
                AND NOT pg_catalog.has_column_privilege(relation.oid, attribute.attnum, 'SELECT')
        )
    ) AS is_readable,
    pg_catalog.has_schema_privilege(namespace.oid, 'USAGE') AS is_reachable,
    relation.relkind <> 'p' AND EXISTS (
        SELECT FROM pg_catalog.pg_inherits AS heir WHERE heir.inhparent = relation.oid
    ) AS has_heirs,
    attributes.columns,
    attributes.not_null_columns,
    attributes.stored_columns,
    attributes.stored_types,
    ARRAY(
        SELECT attribute.attname::text
        FROM
            pg_catalog.pg_index AS index
            CROSS JOIN LATERAL pg_catalog.unnest(index.indkey::int2[]) WITH ORDINALITY AS key (attnum, position)
            JOIN pg_catalog.pg_attribute AS attribute
                ON attribute.attrelid = index.indrelid AND attribute.attnum = key.attnum
        WHERE index.indrelid = relation.oid AND index.indisprimary AND key.position <= index.indnkeyatts
        ORDER BY key.position
    ) AS primary_key,
    ARRAY(
        SELECT trigger.tgname::text
        FROM pg_catalog.pg_trigger AS trigger
        WHERE trigger.tgrelid = relation.oid AND NOT trigger.tgisinternal AND trigger.tgenabled <> 'D'
        ORDER BY trigger.tgname
    ) AS triggers,
    -- Those that an update or a delete fires.
    ARRAY(
        SELECT trigger.tgname::text
        FROM pg_catalog.pg_trigger AS trigger
        WHERE
            trigger.tgrelid = relation.oid AND NOT trigger.tgisinternal AND trigger.tgenabled <> 'D'
            AND trigger.tgtype::integer & (8 | 16) <> 0
        ORDER BY trigger.tgname
    ) AS firing_triggers,
    size.pages,
    size.rows
FROM
    pg_catalog.pg_class AS relation
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
    CROSS JOIN LATERAL (
        SELECT
            COALESCE(pg_catalog.array_agg(attribute.name), '{}') AS columns,
            COALESCE(pg_catalog.array_agg(attribute.name) FILTER (WHERE attribute.attnotnull), '{}') AS not_null_columns,
            COALESCE(pg_catalog.array_agg(attribute.name) FILTER (WHERE attribute.attgenerated = ''), '{}') AS stored_columns,
            COALESCE(pg_catalog.array_agg(attribute.type) FILTER (WHERE attribute.attgenerated = ''), '{}') AS stored_types
        FROM
            (
                SELECT
                    attribute.attname::text AS name,
                    pg_catalog.format_type(attribute.atttypid, attribute.atttypmod) AS type,
                    attribute.attnotnull,
                    attribute.attgenerated
                FROM pg_catalog.pg_attribute AS attribute
                WHERE attribute.attrelid = relation.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped
                ORDER BY attribute.attnum
            ) AS attribute
    ) AS attributes
    CROSS JOIN LATERAL (
        -- A table that was never vacuumed or analysed has counted rows only: some twenty fill a page.
        SELECT
            COALESCE(pg_catalog.sum(GREATEST(part.relpages, pg_catalog.pg_stat_get_live_tuples(part.oid) / 20)), 0)::bigint AS pages,
            COALESCE(pg_catalog.sum(GREATEST(part.reltuples::bigint, pg_catalog.pg_stat_get_live_tuples(part.oid))), 0)::bigint AS rows
        FROM
            (
                SELECT relation.oid
                UNION ALL
                SELECT child.inhrelid FROM pg_catalog.pg_inherits AS child WHERE child.inhparent = relation.oid
            ) AS member
            JOIN pg_catalog.pg_class AS part ON part.oid = member.oid
    ) AS size
WHERE
    namespace.nspname = :'schema'
    AND relation.relkind IN ('r', 'p', 'v', 'm', 'f')
ORDER BY
    relation.relname;
