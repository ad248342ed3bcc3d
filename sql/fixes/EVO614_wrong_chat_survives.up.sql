-- code: EVO614
-- version: 2
-- applicability: quarantine
-- hazards: deletes-rows changes-rows
-- rows: EVO103 Chat_instanceId_remoteJid_key
-- upstream: 20251122003044
-- after 2.0.0-beta..2.3.6: the API lists each chat once, with its labels, its name and its unread messages. The migration runs as
--   ever, finds nothing to remove and makes its index.
-- Why the migration is left to run: it costs nothing on chats that are there once, and recorded ahead it would have the
-- history claim 2.3.7.
SELECT
    CASE
        WHEN pg_catalog.jsonb_exists(:'release_migrations'::jsonb, '20250116001415_add_wavoip_token_to_settings_table')
            THEN 'until the upgrade the server may make chats twice again: do this with the server stopped, or keep them out with EVO205''s index'
        ELSE 'until the upgrade the server may make chats twice again: do this shortly before it, with the server stopped'
    END AS note;
