-- code: EVO103
-- version: 1
-- applicability: quarantine
-- hazards: deletes-rows changes-rows
-- each: unique-index
-- upstream: 20240811183328 20251122003044
-- after 2.0.0-beta..: the API lists each chat, contact and label once. Nothing else changes for it, and no restart is needed.
--   The migrations of an upgrade that build the index find nothing to remove, so they cannot keep the wrong row.
-- Of the rows of one key the newest stays: the one with the newest "updatedAt" that is not null, else with the newest
-- "createdAt". It takes over what it lacks: values it has as null, the labels of all, and the largest unread count.
-- Read through jsonb, so that one text serves every table and release.
WITH ranked AS (
    SELECT
        :key AS key,
        pg_catalog.dense_rank() OVER (ORDER BY :target_columns) AS thing,
        pg_catalog.to_jsonb(target.*) AS data,
        pg_catalog.row_number() OVER (
            PARTITION BY :target_columns
            ORDER BY
                (pg_catalog.to_jsonb(target.*) ->> 'updatedAt')::timestamp DESC NULLS LAST,
                (pg_catalog.to_jsonb(target.*) ->> 'createdAt')::timestamp DESC NULLS LAST,
                :order
        ) AS position
    FROM
        :table AS target
        JOIN (SELECT :columns FROM :table GROUP BY :columns HAVING pg_catalog.count(*) > 1) AS twice
            ON (:target_columns) = (:twice_columns)
),
-- Per thing and column the value of the newest row that has one.
known AS (
    SELECT DISTINCT ON (ranked.thing, field.name)
        ranked.thing, field.name, field.value
    FROM
        ranked
        CROSS JOIN LATERAL pg_catalog.jsonb_each(ranked.data) AS field (name, value)
    WHERE
        field.value <> 'null'::jsonb
        AND field.name NOT IN ('labels', 'unreadMessages')
    ORDER BY
        ranked.thing, field.name, ranked.position
),
label AS (
    SELECT
        ranked.thing,
        element.value,
        pg_catalog.min(ARRAY[ranked.position, element.position]) AS position
    FROM
        ranked
        CROSS JOIN LATERAL pg_catalog.jsonb_array_elements(
            CASE pg_catalog.jsonb_typeof(ranked.data -> 'labels')
                WHEN 'array' THEN ranked.data -> 'labels'
                WHEN 'string' THEN pg_catalog.jsonb_build_array(ranked.data -> 'labels')
                ELSE '[]'
            END
        ) WITH ORDINALITY AS element (value, position)
    GROUP BY
        ranked.thing, element.value
),
merged AS (
    SELECT known.thing, known.name, known.value
    FROM known
    UNION ALL
    SELECT label.thing, 'labels', pg_catalog.jsonb_agg(label.value ORDER BY label.position)
    FROM label
    GROUP BY label.thing
    UNION ALL
    SELECT ranked.thing, 'unreadMessages', pg_catalog.to_jsonb(pg_catalog.max((ranked.data ->> 'unreadMessages')::integer))
    FROM ranked
    WHERE ranked.data ->> 'unreadMessages' IS NOT NULL
    GROUP BY ranked.thing
)
SELECT
    :'table_name' AS "table",
    ranked.key AS "key",
    NULL::jsonb AS "change",
    'another row stands for the same ' || :'subject' || ' and is newer' AS "reason"
FROM
    ranked
WHERE
    ranked.position > 1
UNION ALL
SELECT
    :'table_name',
    ranked.key,
    pg_catalog.jsonb_object_agg(merged.name, merged.value),
    'takes over what the removed rows had'
FROM
    ranked
    JOIN merged ON merged.thing = ranked.thing
WHERE
    ranked.position = 1
    AND merged.value IS DISTINCT FROM ranked.data -> merged.name
GROUP BY
    ranked.key;
