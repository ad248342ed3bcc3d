-- code: EVO103
-- version: 5
-- applicability: quarantine
-- hazards: deletes-rows changes-rows
-- each: unique-index
-- upstream: 20240811183328 20251122003044
-- after 2.0.0-beta..: the API lists each chat, contact and label once. Nothing else changes for it, and no restart is needed.
--   The migrations of an upgrade that build the index find nothing to remove, so they cannot keep the wrong row.
-- Of the rows of one key the newest stays: the one with the newest "updatedAt" that is not null, else with the newest
-- "createdAt". It takes over what it lacks: values it has as null, texts it has empty, and the labels of all. Up to 2.2.3
-- the server writes an empty name into one of two chats with every update of a message, which makes that one the newest.
-- Its unread count stays: a larger one is of messages that have been read since.
-- In one pass: which rows there are twice is a hash of the key; of each thing's rows the first that knows a column's value
-- gives it. Columns that differ per table and release come as :newest, :first_known, :fields and :labels. All rows of the
-- table are looked at, or in batches some (:among). They come with their places, where they are found again at once.
WITH twice AS (
    SELECT
        :columns,
        pg_catalog.row_number() OVER () AS "evodoctor thing"
    FROM
        :among AS target
    WHERE
        (:columns) IS NOT NULL
    GROUP BY
        :columns
    HAVING
        pg_catalog.count(*) > 1
),
ranked AS (
    SELECT
        target.*,
        :place AS "evodoctor place",
        twice."evodoctor thing",
        pg_catalog.row_number() OVER (PARTITION BY twice."evodoctor thing" ORDER BY :newest) AS "evodoctor position"
    FROM
        :among AS target
        JOIN twice ON (:target_columns) = (:twice_columns)
),
known AS MATERIALIZED (
    SELECT
        ranked.*,
        ARRAY[:first_known] AS "evodoctor first"
    FROM
        ranked
    WINDOW
        thing AS (PARTITION BY ranked."evodoctor thing")
),
label AS (
    SELECT
        known."evodoctor thing" AS thing,
        element.value,
        pg_catalog.min(ARRAY[known."evodoctor position", element.position]) AS position
    FROM
        known
        CROSS JOIN LATERAL pg_catalog.jsonb_array_elements(
            CASE pg_catalog.jsonb_typeof(pg_catalog.to_jsonb(:labels))
                WHEN 'array' THEN pg_catalog.to_jsonb(:labels)
                WHEN 'string' THEN pg_catalog.jsonb_build_array(:labels)
                ELSE '[]'
            END
        ) WITH ORDINALITY AS element (value, position)
    WHERE
        :labels IS NOT NULL
    GROUP BY
        known."evodoctor thing", element.value
),
united AS (
    SELECT label.thing, pg_catalog.jsonb_agg(label.value ORDER BY label.position) AS value
    FROM label
    GROUP BY label.thing
),
change AS (
    SELECT
        merged.thing,
        pg_catalog.jsonb_object_agg(merged.name, merged.value) AS new
    FROM
        (
            SELECT known."evodoctor thing" AS thing, field.name, field.value
            FROM
                known
                CROSS JOIN LATERAL (VALUES :fields) AS field (name, value)
            WHERE
                known."evodoctor position" > 1
                -- Most rows give nothing, and need not be taken apart.
                AND known."evodoctor position" = ANY (known."evodoctor first")
                AND field.value IS NOT NULL
            UNION ALL
            SELECT united.thing, 'labels', united.value
            FROM
                united
                JOIN known ON known."evodoctor thing" = united.thing AND known."evodoctor position" = 1
            WHERE
                united.value IS DISTINCT FROM pg_catalog.to_jsonb(:labels)
        ) AS merged
    GROUP BY
        merged.thing
)
SELECT
    :'table_name' AS "table",
    :key AS "key",
    NULL::jsonb AS "change",
    'another row stands for the same ' || :'subject' || ' and is newer' AS "reason",
    target."evodoctor place" AS "place"
FROM
    known AS target
WHERE
    target."evodoctor position" > 1
UNION ALL
SELECT
    :'table_name',
    :key,
    change.new,
    'takes over what the removed rows had',
    target."evodoctor place"
FROM
    known AS target
    JOIN change ON change.thing = target."evodoctor thing"
WHERE
    target."evodoctor position" = 1;
