-- Has the shape of the clean-up: what is asked is whether the planner hashes the list of rows to keep. Never run.
SELECT pg_catalog.count(*)
FROM :"schema"."Contact" AS contact
WHERE contact.ctid NOT IN (
    SELECT (pg_catalog.array_agg(kept.ctid))[1]
    FROM :"schema"."Contact" AS kept
    GROUP BY kept."remoteJid", kept."instanceId"
);
