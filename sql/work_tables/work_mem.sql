-- Room to hash some hundred thousand keys at once, where the server does not give as much. Not for the whole transaction: a
-- hazard asks how the server itself would run what an upgrade sends (sql/hazards/EVO608_contact_cleanup.plan.sql).
SELECT
    pg_catalog.set_config(
        'work_mem', CASE :'wanted' WHEN 'more' THEN GREATEST(setting.setting::bigint, 65536)::text || 'kB' ELSE setting.reset_val || 'kB' END, true
    )
FROM
    pg_catalog.pg_settings AS setting
WHERE
    setting.name = 'work_mem';
