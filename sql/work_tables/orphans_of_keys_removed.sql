-- Marks the rows of one table that refer to nothing by any of several keys, to be removed. The table is read once: each key by itself
-- would read it again, and rows that are orphaned by two keys would have to be told from new ones. The first such key of a row is
-- its reason. Returns the number of rows, and for each key how many of them are orphaned by it. The first round.
WITH orphaned AS MATERIALIZED (
    SELECT
        :child_key,
        ARRAY[:is_orphaned] AS "evodoctor keys"
    FROM
        :child AS child
        :joined_parents
    WHERE
        :is_any_orphaned
    :for_update
),
marked AS (
    INSERT INTO :marks
    SELECT
        :orphaned_key,
        (ARRAY[:reasons])[pg_catalog.array_position(orphaned."evodoctor keys", true)],
        0
    FROM
        orphaned
)
SELECT
    pg_catalog.count(*) AS rows,
    ARRAY[:counts] AS counts
FROM
    orphaned;
