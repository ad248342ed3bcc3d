-- code: EVO612
-- name: wavoip-column-skipped
-- title: upgrade skips a column
-- severity: error
-- consequence: fails-requests
-- releases: 2.0.0-beta..2.2.0
-- migration: 20250116001415
-- summary: the upgrade skips a column that another schema has; creating instances fails
-- why: POST /instance/create then answers 400, "The column wavoipToken does not exist". 2.2.1 to 2.3.1 search the column in every
--   schema that their role can see before they add it; another Evolution schema in the same database is enough, and the migration
--   is recorded as applied without the column. Upgrade to 2.3.2 or later directly, let the fix add it first, or repair it
--   afterwards with evodoctor fix EVO305.
-- fix: safe
-- matches: 20250116001415_add_wavoip_token_to_settings_table
-- answers: migration=20250116001415
SELECT
    'Setting.wavoipToken' AS subject,
    pg_catalog.format(
        'on the way to %s the column is not added, because the schema %s has it; the migration is recorded as applied anyway',
        :'target', pg_catalog.string_agg(DISTINCT pg_catalog.quote_ident(other_namespace.nspname), ', ')
    ) AS detail,
    NULL::text AS predicate,
    1::bigint AS count,
    '[]'::jsonb AS sample,
    'Setting.wavoipToken' AS key,
    'goes-astray' AS effect,
    ARRAY[pg_catalog.format('evodoctor fix EVO612 --to %s --apply', :'target')] AS before
FROM
    pg_catalog.pg_namespace AS namespace
    JOIN pg_catalog.pg_class AS setting ON setting.relnamespace = namespace.oid AND setting.relname = 'Setting'
    JOIN pg_catalog.pg_class AS other ON other.relname = 'Setting' AND other.oid <> setting.oid AND other.relkind IN ('r', 'v', 'f', 'p')
    JOIN pg_catalog.pg_namespace AS other_namespace ON other_namespace.oid = other.relnamespace
    JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = other.oid AND attribute.attname = 'wavoipToken' AND NOT attribute.attisdropped
WHERE
    namespace.nspname = :'schema'
    AND :'target' IN ('2.2.1', '2.2.2', '2.2.3', '2.3.0', '2.3.1')
    -- As the owner sees them: Evolution connects as that role.
    AND (
        pg_catalog.pg_has_role(setting.relowner, other.relowner, 'USAGE')
        OR pg_catalog.has_column_privilege(setting.relowner, other.oid, attribute.attnum, 'SELECT, INSERT, UPDATE, REFERENCES')
    )
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_attribute AS own
        WHERE own.attrelid = setting.oid AND own.attname = 'wavoipToken' AND NOT own.attisdropped
    )
HAVING
    pg_catalog.count(*) > 0;
