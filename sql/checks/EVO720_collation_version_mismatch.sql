-- code: EVO720
-- name: collation-version-mismatch
-- title: text order changed by an update
-- severity: warning
-- consequence: wrong-results
-- releases: 2.0.0-beta..
-- summary: the operating system sorts text differently than when the indexes were built
-- why: The sort order of text comes from the operating system (glibc, ICU), and its version differs from the one that the
--   database was created with: an image with another base (Debian 12 to 13, Alpine to Debian), or files moved to another machine.
--   Indexes on text are then out of order: rows are not found by them, unique indexes let duplicates in, and updates fail. First
--   rebuild every index, then record the new version: REINDEX DATABASE "NAME"; ALTER DATABASE "NAME" REFRESH COLLATION VERSION.
--   Check for duplicates afterwards (evodoctor check --paranoid, EVO103).
-- fix: manual
-- matches: database "…" has a collation version mismatch
-- matches: The database was created using collation version …, but the operating system provides version …
-- answers: message=collation
-- The columns that 12 to 14 lack are asked for by name in a row of jsonb, which then has none. The actual version of the
-- database's own collation is that of the one in pg_collation with the same provider and locale.
WITH database AS (
    SELECT pg_database.datname, pg_catalog.to_jsonb(pg_database) AS row
    FROM pg_catalog.pg_database
    WHERE pg_database.datname = pg_catalog.current_database()
),
-- Asking the system for a version takes time, and there are hundreds of collations: only those in use are asked for.
of_database AS MATERIALIZED (
    SELECT database.datname, database.row ->> 'datcollversion' AS recorded, collation_row.oid
    FROM
        database
        JOIN pg_catalog.pg_collation AS collation_row
            ON collation_row.collprovider = (database.row ->> 'datlocprovider')::"char"
            AND CASE database.row ->> 'datlocprovider'
                WHEN 'c' THEN collation_row.collcollate = database.row ->> 'datcollate'
                WHEN 'i' THEN COALESCE(
                    pg_catalog.to_jsonb(collation_row) ->> 'colliculocale', pg_catalog.to_jsonb(collation_row) ->> 'colllocale',
                    collation_row.collcollate
                ) = COALESCE(database.row ->> 'daticulocale', database.row ->> 'datlocale')
            END
),
of_index AS MATERIALIZED (
    SELECT used.indexrelid, collation_row.oid, collation_row.collname, collation_row.collversion AS recorded
    FROM
        (
            SELECT DISTINCT index.indexrelid, pg_catalog.unnest(index.indcollation::oid[]) AS collation
            FROM
                pg_catalog.pg_index AS index
                JOIN pg_catalog.pg_class AS relation ON relation.oid = index.indrelid
                JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
            WHERE namespace.nspname = :'schema'
        ) AS used
        JOIN pg_catalog.pg_collation AS collation_row ON collation_row.oid = used.collation
    WHERE
        collation_row.collprovider IN ('c', 'i')
        AND collation_row.collversion IS NOT NULL
),
mismatch AS (
    SELECT
        'database ' || of_database.datname AS subject,
        of_database.recorded,
        pg_catalog.min(pg_catalog.pg_collation_actual_version(of_database.oid)) AS actual,
        pg_catalog.format('REINDEX DATABASE %1$I; ALTER DATABASE %1$I REFRESH COLLATION VERSION', of_database.datname) AS command
    FROM of_database
    WHERE pg_catalog.pg_collation_actual_version(of_database.oid) <> of_database.recorded
    GROUP BY
        of_database.datname, of_database.recorded
    UNION ALL
    SELECT
        pg_catalog.format('collation %I', of_index.collname),
        of_index.recorded,
        pg_catalog.pg_collation_actual_version(of_index.oid),
        pg_catalog.format(
            'REINDEX INDEX %s; ALTER COLLATION %s REFRESH VERSION',
            pg_catalog.string_agg(DISTINCT of_index.indexrelid::pg_catalog.regclass::text, '; REINDEX INDEX '),
            pg_catalog.quote_ident(of_index.collname)
        )
    FROM of_index
    WHERE pg_catalog.pg_collation_actual_version(of_index.oid) <> of_index.recorded
    GROUP BY
        of_index.oid, of_index.collname, of_index.recorded
)
SELECT
    mismatch.subject AS subject,
    pg_catalog.format(
        'its indexes were built with collation version %s, and the system has %s, so they may be out of order: %s',
        mismatch.recorded, mismatch.actual, mismatch.command
    ) AS detail,
    NULL::text AS predicate,
    1::bigint AS count,
    pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object('recorded', mismatch.recorded, 'actual', mismatch.actual)) AS sample,
    CASE WHEN mismatch.subject LIKE 'database %' THEN 'database' ELSE mismatch.subject END AS key
FROM
    mismatch
ORDER BY
    mismatch.subject;
