-- code: EVO208
-- version: 1
-- applicability: safe
-- hazards: blocks-writes
-- tables: found
-- after 2.0.0-beta..: queries use the index again; a unique one refuses duplicates again (P2002) and serves upserts.
-- A unique index cannot be built on duplicates; EVO103 merges them, and comes first in the same run. The index is rebuilt in
-- place, so that whatever depends on it stays. Nobody but a superuser can make it invalid again.
SELECT
    pg_catalog.format('REINDEX INDEX %I.%I', namespace.nspname, class.relname) AS statement,
    CASE
        WHEN own.is_superuser THEN pg_catalog.format(
            'UPDATE pg_catalog.pg_index SET indisvalid = %L, indisready = %L WHERE indexrelid = %L::pg_catalog.regclass',
            index.indisvalid, index.indisready, pg_catalog.format('%I.%I', namespace.nspname, class.relname)
        )
    END AS undo,
    CASE
        WHEN NOT own.is_superuser THEN pg_catalog.format('the index %I stays valid: only a superuser could make it invalid again', class.relname)
    END AS stays
FROM
    pg_catalog.pg_index AS index
    JOIN pg_catalog.pg_class AS class ON class.oid = index.indexrelid
    JOIN pg_catalog.pg_class AS relation ON relation.oid = index.indrelid
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
    CROSS JOIN (
        SELECT COALESCE((SELECT role.rolsuper FROM pg_catalog.pg_roles AS role WHERE role.rolname = current_user), false) AS is_superuser
    ) AS own
WHERE
    namespace.nspname = :'schema'
    AND pg_catalog.jsonb_exists(:'found'::jsonb, relation.relname || '.' || class.relname)
ORDER BY
    relation.relname, class.relname;
