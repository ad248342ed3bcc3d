-- A row that is removed need not be changed first.
DELETE FROM :marks AS changed
USING
    :removed AS removed
WHERE
    (:changed_key) = (:removed_key);
