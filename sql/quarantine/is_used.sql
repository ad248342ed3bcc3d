-- Whether other runs than these have rows in a table of the quarantine.
SELECT
    EXISTS (
        SELECT
        FROM "evodoctor"."quarantine_entry" AS entry
        WHERE
            entry."relation" = :'relation'
            AND NOT entry."run" = ANY (:runs)
    ) AS is_used;
