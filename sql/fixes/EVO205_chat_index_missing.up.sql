-- code: EVO205
-- version: 2
-- applicability: quarantine
-- hazards: deletes-rows changes-rows blocks-writes
-- tables: Chat
-- rows: EVO103 Chat_instanceId_remoteJid_key
-- upstream: 20241017144950 20251122003044
-- after 2.2.1..2.3.6: labels arrive on chats at once; no restart is needed. An upgrade to 2.3.7 or later needs no further
--   step: its migration 20251122003044 finds no duplicate to remove and builds its own index, because this one has
--   another name ("Chat_instanceId_remoteJid_evodoctor_key"). From then on the two are double, which costs a little
--   disk and harms nothing; this one can then be dropped.
-- after 2.3.7..: labels arrive on chats at once; no restart is needed. The index has upstream's name, because upstream's
--   migration is done and does not come again.
-- Why not upstream's name before 2.3.7: its migration would stop with 42P07, and the container would restart for ever.
-- Why not record that migration as applied: the history would then claim 2.3.7 for a database that is older.
SELECT
    pg_catalog.format('CREATE UNIQUE INDEX %I ON %I."Chat" ("instanceId", "remoteJid")', chosen.name, :'schema') AS statement,
    pg_catalog.format('DROP INDEX %I.%I', :'schema', chosen.name) AS undo
FROM
    (
        SELECT
            CASE
                WHEN pg_catalog.jsonb_exists(:'release_migrations'::jsonb, '20251122003044_add_chat_instance_remotejid_unique')
                    THEN 'Chat_instanceId_remoteJid_key'
                ELSE 'Chat_instanceId_remoteJid_evodoctor_key'
            END AS name
    ) AS chosen;
