-- One more batch of rows is in a table of the quarantine.
UPDATE "evodoctor"."quarantine_entry" AS entry
SET
    "count" = entry."count" + :'count'::bigint,
    "digest" = (entry."digest"::numeric + :'digest'::numeric)::text
WHERE
    entry."run" = :'run'::bigint
    AND entry."relation" = :'relation';
