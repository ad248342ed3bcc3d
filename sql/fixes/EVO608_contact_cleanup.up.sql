-- code: EVO608
-- version: 2
-- applicability: quarantine
-- hazards: deletes-rows changes-rows blocks-writes
-- tables: Contact _prisma_migrations
-- rows: EVO103 Contact_remoteJid_instanceId_key
-- upstream: 20240811183328
-- records: found
-- after 2.0.0-beta..2.0.9-rc: the clean-up and its index are done, in one pass over the contacts, and the server's next start
--   skips them. Until the upgrade a contact that comes a second time is refused (P2002), which an older server may write to
--   its log: do this shortly before the upgrade, best with the server stopped.
SELECT
    'Contact_remoteJid_instanceId_key exists already: see what evodoctor fix EVO601 says of it' AS refusal
WHERE
    pg_catalog.to_regclass(pg_catalog.format('%I."Contact_remoteJid_instanceId_key"', :'schema')) IS NOT NULL;

SELECT
    pg_catalog.format('CREATE UNIQUE INDEX "Contact_remoteJid_instanceId_key" ON %I."Contact" ("remoteJid", "instanceId")', :'schema') AS statement,
    pg_catalog.format('DROP INDEX %I."Contact_remoteJid_instanceId_key"', :'schema') AS undo;
