-- What a run has in the quarantine: per table, action and reason how many rows, five of them, and a digest of all, so
-- that two rehearsals on the same rows agree and on other rows do not.
SELECT
    grouped.code,
    grouped.table_schema,
    grouped.table_name,
    grouped.action,
    grouped.columns,
    grouped.reason,
    grouped.count,
    grouped.digest,
    (
        SELECT
            pg_catalog.jsonb_agg(
                pg_catalog.jsonb_build_object('before', example."row", 'after', CASE
                    WHEN example."action" = 'changed' THEN example."row" || example."change"
                END)
                ORDER BY example."key"
            )
        FROM (
            SELECT quarantine.*
            FROM "evodoctor"."quarantine" AS quarantine
            WHERE
                quarantine."run" = pg_catalog.current_setting('evodoctor.run')::bigint
                AND quarantine."code" = grouped.code
                AND quarantine."table_schema" = grouped.table_schema
                AND quarantine."table_name" = grouped.table_name
                AND quarantine."action" = grouped.action
                AND quarantine."columns" = grouped.columns
                AND quarantine."reason" = grouped.reason
            ORDER BY quarantine."key"
            LIMIT 5
        ) AS example
    ) AS sample
FROM
    (
        SELECT
            quarantine."code" AS code,
            quarantine."table_schema" AS table_schema,
            quarantine."table_name" AS table_name,
            quarantine."action" AS action,
            quarantine."columns" AS columns,
            quarantine."reason" AS reason,
            pg_catalog.count(*) AS count,
            pg_catalog.sum(
                digest.of_change::numeric
            )::text AS digest
        FROM
            "evodoctor"."quarantine" AS quarantine
            -- Each seeds the next: of values that moved from one row to another the sum is a different one.
            CROSS JOIN LATERAL (SELECT pg_catalog.jsonb_hash_extended(quarantine."row", 0) AS of_row) AS row_digest
            CROSS JOIN LATERAL (SELECT COALESCE(pg_catalog.jsonb_hash_extended(quarantine."literal", of_row), of_row) AS of_literal) AS literal_digest
            CROSS JOIN LATERAL (SELECT COALESCE(pg_catalog.jsonb_hash_extended(quarantine."change", of_literal), of_literal) AS of_change) AS digest
        WHERE
            quarantine."run" = pg_catalog.current_setting('evodoctor.run')::bigint
            AND quarantine."code" = :'code'
        GROUP BY
            quarantine."code", quarantine."table_schema", quarantine."table_name", quarantine."action",
            quarantine."columns", quarantine."reason"
    ) AS grouped
ORDER BY
    grouped.code, grouped.table_schema, grouped.table_name, grouped.action, grouped.columns, grouped.reason;
