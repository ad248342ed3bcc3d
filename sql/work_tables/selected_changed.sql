-- Marks the selected rows of one table that are to be changed, with their new values. They are found by their keys, or by
-- their places where the query gives these.
INSERT INTO :marks
SELECT
    :target_key,
    selected."reason",
    ARRAY(SELECT name FROM pg_catalog.jsonb_object_keys(selected."change") AS name ORDER BY name),
    selected."change"
FROM
    :selected AS selected
    JOIN :table AS target ON :is_it
WHERE
    selected."table" = :'table_name'
    AND selected."change" IS NOT NULL
:for_update;
