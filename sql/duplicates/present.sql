-- Whether a unique index stands that refuses what an index over these columns would: over the same, or over some of them.
-- Run by hand, for example:
--   psql -v schema=public -v table_name=Contact -v column_names='["remoteJid", "instanceId"]'
SELECT
    COALESCE(pg_catalog.bool_or(index.indisvalid AND index.columns <@ wanted.columns), false) AS holds,
    COALESCE(pg_catalog.bool_or(NOT index.indisvalid AND index.columns = wanted.columns), false) AS is_invalid
FROM
    (SELECT ARRAY(SELECT pg_catalog.jsonb_array_elements_text(:'column_names'::jsonb) AS name ORDER BY name) AS columns) AS wanted
    CROSS JOIN LATERAL (
        SELECT
            index.indisvalid,
            ARRAY(
                SELECT attribute.attname::text AS name
                FROM pg_catalog.pg_attribute AS attribute
                WHERE attribute.attrelid = index.indrelid AND attribute.attnum = ANY ((index.indkey::int2[])[0 : index.indnkeyatts - 1])
                ORDER BY name
            ) AS columns
        FROM
            pg_catalog.pg_index AS index
        WHERE
            index.indrelid = pg_catalog.format('%I.%I', :'schema', :'table_name')::pg_catalog.regclass
            AND index.indisunique
            AND index.indpred IS NULL
            AND index.indexprs IS NULL
    ) AS index;
