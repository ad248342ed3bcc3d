-- The list no longer has what some runs had in a table of the quarantine.
DELETE FROM "evodoctor"."quarantine_entry" AS entry
WHERE
    entry."relation" = :'relation'
    AND entry."run" = ANY (:runs);
