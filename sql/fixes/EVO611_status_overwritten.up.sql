-- code: EVO611
-- version: 1
-- applicability: safe
-- hazards: rewrites-table blocks-writes
-- tables: Message _prisma_migrations
-- upstream: 20241006130306
-- records: found
-- after 2.0.0-beta..2.1.2: every message keeps its status, as the word that newer servers write, and the server's next start
--   skips the migration that would have made all of them PENDING. A server older than 2.1.2 cannot read or store messages from
--   here on: stop it first, and upgrade right after. Word and number stand for each other one to one, so nothing has to
--   be kept in the quarantine: undo turns them back.
-- The table is written anew once, not twice as by the upgrade.
SELECT
    pg_catalog.format('%s messages have the status %s, for which no word is known: give them one of 0 to 5', pg_catalog.count(*), message."status") AS refusal
FROM
    :"schema"."Message" AS message
WHERE
    message."status" NOT BETWEEN 0 AND 5
GROUP BY
    message."status";

ALTER TABLE :"schema"."Message"
    ALTER COLUMN "status" TYPE character varying(30) USING CASE "status"
        WHEN 0 THEN 'ERROR'
        WHEN 1 THEN 'PENDING'
        WHEN 2 THEN 'SERVER_ACK'
        WHEN 3 THEN 'DELIVERY_ACK'
        WHEN 4 THEN 'READ'
        WHEN 5 THEN 'PLAYED'
    END;
