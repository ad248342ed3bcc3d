-- Adds marks to a work table that has some already: those of rows that are not marked yet, or not with the same change. Both tables
-- are as large as the planner takes them for, so that it joins them by hash. In the statement that looks for the rows it expects
-- one row where there are many, and would look through all marks for each of them.
INSERT INTO :marks
SELECT
    added.*
FROM
    :added AS added
WHERE
    NOT EXISTS (
        SELECT
        FROM :marks AS marked
        WHERE (:marked_key) = (:added_key) AND :is_same
    );
