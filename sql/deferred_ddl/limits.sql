-- Limits of this session's that would cut a long statement off. They come from the role, the database, the server or the
-- connection string, and are not changed: behind a pooler the session is somebody else's a moment later.
SELECT
    setting.name AS name,
    pg_catalog.current_setting(setting.name) AS value
FROM
    pg_catalog.pg_settings AS setting
WHERE
    setting.name IN ('statement_timeout', 'lock_timeout', 'transaction_timeout', 'default_transaction_read_only')
    AND setting.setting NOT IN ('0', 'off')
ORDER BY
    setting.name;
