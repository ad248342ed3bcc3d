-- What an older run kept is laid out in tables of today's form now.
DELETE FROM "evodoctor"."quarantine" AS legacy
WHERE
    legacy."run" = :'run'::bigint;
