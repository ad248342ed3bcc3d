-- code: EVO208
-- name: invalid-index
-- title: invalid indexes
-- severity: warning
-- consequence: slow
-- releases: 2.0.0-beta..
-- summary: an index is invalid: it costs every write and serves no query
-- why: CREATE INDEX CONCURRENTLY or REINDEX CONCURRENTLY that failed or was interrupted leaves an index behind that is
--   marked INVALID. Every write still pays for it, no query uses it, and a unique one neither keeps duplicates out nor
--   serves an upsert (42P10). An upgrade that builds the index of that name stops with 42P07 "already exists".
-- fix: safe
-- matches: 42P07
-- matches: already exists
-- matches: INVALID
-- matches: indisvalid
-- answers: exact="btree … INVALID"
-- answers: text="indisvalid"
WITH invalid AS (
    SELECT
        relation.relname AS table_name,
        class.relname,
        index.indisunique,
        pg_catalog.pg_get_indexdef(index.indexrelid) AS definition,
        -- What REINDEX CONCURRENTLY calls its work in progress.
        class.relname ~ '_cc(new|old)[0-9]*$' AS is_leftover,
        class.relkind = 'I' AS is_partitioned,
        EXISTS (
            SELECT
            FROM pg_catalog.pg_stat_progress_create_index AS progress
            WHERE
                progress.datname = pg_catalog.current_database()
                -- The table is hidden from roles that may not see others' sessions.
                AND COALESCE(progress.relid, index.indrelid) = index.indrelid
        ) AS may_be_in_progress
    FROM
        pg_catalog.pg_index AS index
        JOIN pg_catalog.pg_class AS class ON class.oid = index.indexrelid
        JOIN pg_catalog.pg_class AS relation ON relation.oid = index.indrelid
        JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
    WHERE
        namespace.nspname = :'schema'
        AND NOT (index.indisvalid AND index.indisready AND index.indislive)
)
SELECT
    invalid.table_name || '.' || invalid.relname AS subject,
    pg_catalog.concat(
        CASE WHEN invalid.indisunique THEN 'the unique index is invalid: it keeps no duplicates out and serves no query' ELSE 'the index is invalid: it serves no query' END,
        CASE
            WHEN invalid.may_be_in_progress THEN '; an index is being built right now, perhaps this one: look again when that has ended'
            WHEN invalid.is_leftover THEN pg_catalog.format(
                '; its name says that REINDEX CONCURRENTLY left it behind beside the index it was to replace: DROP INDEX %I.%I is left to you',
                :'schema', invalid.relname
            )
            WHEN invalid.is_partitioned THEN '; it is of a partitioned table and becomes valid when every partition has its part, which is left to you'
        END
    ) AS detail,
    NULL::text AS predicate,
    1::bigint AS count,
    pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object('index', invalid.relname, 'definition', invalid.definition)) AS sample,
    invalid.table_name || '.' || invalid.relname AS key,
    CASE WHEN invalid.may_be_in_progress THEN 'advice' ELSE 'warning' END AS severity,
    NOT (invalid.may_be_in_progress OR invalid.is_leftover OR invalid.is_partitioned) AS fixable
FROM
    invalid
ORDER BY
    invalid.table_name, invalid.relname;
