-- An index for as long as rows are removed from the table referred to. Rows that refer to nothing are not in it.
CREATE INDEX :"index_name" ON :child (:columns)
WHERE
    (:columns) IS NOT NULL;
