-- The unique indexes on one column that hold for all instances of a server at once, where the fixes of EVO202, EVO203, EVO204 and
-- EVO213 make them hold for each instance by itself. `is_upstreams`: in the form that upstream creates, which is the one that undo
-- can put back exactly, and with the new index's name still free; `left_to_you`: the end of the finding's sentence otherwise.
-- Spliced into these checks as :server_wide_keys. Run by hand: psql -v schema=public -f sql/catalog/server_wide_keys.sql
SELECT
    wanted.table_name,
    wanted.column_name,
    class.relname,
    form.is_upstreams,
    CASE
        WHEN NOT form.is_upstreams THEN pg_catalog.format(
            '; the index differs from upstream''s (%s), or its new name is taken, so changing it is left to you',
            pg_catalog.pg_get_indexdef(index.indexrelid)
        )
    END AS left_to_you
FROM
    (VALUES
        ('OpenaiCreds', 'apiKey', 'OpenaiCreds_apiKey_key', 'OpenaiCreds_instanceId_apiKey_key'),
        ('OpenaiCreds', 'name', 'OpenaiCreds_name_key', 'OpenaiCreds_instanceId_name_key'),
        ('OpenaiSetting', 'openaiCredsId', 'OpenaiSetting_openaiCredsId_key', 'OpenaiSetting_openaiCredsId_idx'),
        ('Template', 'name', 'Template_name_key', 'Template_instanceId_name_key')
    ) AS wanted (table_name, column_name, index_name, new_index_name)
    JOIN pg_catalog.pg_class AS relation ON relation.relname = wanted.table_name
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
    JOIN pg_catalog.pg_index AS index ON index.indrelid = relation.oid
    JOIN pg_catalog.pg_class AS class ON class.oid = index.indexrelid
    JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = relation.oid AND attribute.attnum = index.indkey[0]
    CROSS JOIN LATERAL (
        SELECT
            class.relname = wanted.index_name AND index.indisvalid
            AND pg_catalog.obj_description(index.indexrelid, 'pg_class') IS NULL
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE pg_constraint.conindid = index.indexrelid)
            AND NOT EXISTS (
                SELECT FROM pg_catalog.pg_class AS taken
                WHERE taken.relnamespace = relation.relnamespace AND taken.relname = wanted.new_index_name
            ) AS is_upstreams
    ) AS form
WHERE
    namespace.nspname = :'schema'
    AND attribute.attname = wanted.column_name
    AND index.indisunique
    AND index.indnkeyatts = 1
    AND index.indpred IS NULL;
