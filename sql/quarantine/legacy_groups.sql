-- What one run of an older version keeps, per fix, table, action, set of columns and reason, with five of the rows.
SELECT
    grouped."code" AS code,
    grouped."table_name" AS table_name,
    grouped."action" AS action,
    grouped."columns" AS columns,
    grouped."reason" AS reason,
    grouped.count AS count,
    (
        SELECT
            pg_catalog.jsonb_agg(
                pg_catalog.jsonb_build_object(
                    'before', example."row",
                    'after', CASE WHEN example."action" = 'changed' THEN example."row" || example."change" END
                )
                ORDER BY example."key"
            )
        FROM (
            SELECT legacy.*
            FROM "evodoctor"."quarantine" AS legacy
            WHERE
                legacy."run" = :'run'::bigint
                AND legacy."code" = grouped."code"
                AND legacy."table_name" = grouped."table_name"
                AND legacy."action" = grouped."action"
                AND legacy."columns" = grouped."columns"
                AND legacy."reason" = grouped."reason"
            ORDER BY legacy."key"
            LIMIT 5
        ) AS example
    ) AS sample
FROM
    (
        SELECT
            legacy."code",
            legacy."table_name",
            legacy."action",
            legacy."columns",
            legacy."reason",
            pg_catalog.count(*) AS count
        FROM
            "evodoctor"."quarantine" AS legacy
        WHERE
            legacy."run" = :'run'::bigint
        GROUP BY
            legacy."code", legacy."table_name", legacy."action", legacy."columns", legacy."reason"
    ) AS grouped
ORDER BY
    grouped."code", grouped."table_name", grouped."action", grouped."columns", grouped."reason";
