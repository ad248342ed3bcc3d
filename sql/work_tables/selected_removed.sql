-- Marks the selected rows of one table that are to be removed. They are found by their keys, or by their places where the
-- query gives these.
INSERT INTO :marks
SELECT
    :target_key,
    selected."reason",
    0
FROM
    :selected AS selected
    JOIN :table AS target ON :is_it
WHERE
    selected."table" = :'table_name'
    AND selected."change" IS NULL
:for_update;
