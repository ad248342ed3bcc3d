-- A table of the quarantine that holds rows of other runs too.
DELETE FROM :kept AS kept
WHERE
    kept."evodoctor run" = ANY (:runs);
