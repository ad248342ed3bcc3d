-- The columns of every ordinary table of Evolution's schema that hold data of their own, and what kind of value each holds.
-- Run by hand: psql -v schema=public -f sql/staging/columns.sql
SELECT
    relation.relname::text AS "table",
    attribute.attname::text AS "column",
    pg_catalog.format_type(attribute.atttypid, attribute.atttypmod) AS type,
    NOT attribute.attnotnull OR attribute.atthasdef OR attribute.attidentity <> '' AS may_be_left_out,
    CASE
        WHEN base.typcategory = 'A' AND element.typcategory IN ('S', 'U') AND element.typname IN ('text', 'varchar', 'bpchar', 'uuid') THEN 'texts'
        WHEN base.typcategory = 'A' AND element.typname IN ('int8', 'numeric') THEN 'numbers'
        WHEN base.typcategory = 'A' AND (element.typtype = 'e' OR element.typcategory IN ('B', 'N')) THEN 'kept'
        WHEN base.typname IN ('text', 'varchar', 'bpchar', 'name', 'citext', 'uuid') THEN 'text'
        WHEN base.typname IN ('json', 'jsonb') THEN 'json'
        WHEN base.typname IN ('timestamp', 'timestamptz', 'date') THEN 'time'
        WHEN base.typname = 'bytea' THEN 'bytes'
        WHEN base.typname IN ('int2', 'int4', 'int8', 'numeric', 'float4', 'float8') THEN 'number'
        WHEN base.typtype = 'e' OR base.typname IN ('bool', 'interval', 'time', 'timetz', 'bit', 'varbit') THEN 'kept'
        ELSE 'unknown'
    END AS kind
FROM
    pg_catalog.pg_class AS relation
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
    JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = relation.oid
    JOIN pg_catalog.pg_type AS declared ON declared.oid = attribute.atttypid
    JOIN pg_catalog.pg_type AS base ON base.oid = CASE WHEN declared.typtype = 'd' THEN declared.typbasetype ELSE declared.oid END
    LEFT JOIN pg_catalog.pg_type AS element ON element.oid = base.typelem
WHERE
    namespace.nspname = :'schema'
    AND relation.relkind = 'r'
    AND relation.relpersistence <> 't'
    AND attribute.attnum > 0
    AND NOT attribute.attisdropped
    AND attribute.attgenerated = ''
ORDER BY
    relation.relname,
    attribute.attnum;
