-- Room to hash some hundred thousand keys at once, where the server does not give as much, and small samples for ANALYZE: of a work
-- table only its size matters, as its keys are unique. Not for the whole transaction: a hazard asks how the server itself would run
-- what an upgrade sends (sql/hazards/EVO608_contact_cleanup.plan.sql).
SELECT
    pg_catalog.set_config(
        setting.name,
        CASE
            WHEN :'wanted' = 'as before' THEN setting.reset_val || COALESCE(setting.unit, '')
            WHEN setting.name = 'work_mem' THEN GREATEST(setting.setting::bigint, 65536)::text || setting.unit
            ELSE '10'
        END,
        true
    )
FROM
    pg_catalog.pg_settings AS setting
WHERE
    setting.name IN ('work_mem', 'default_statistics_target');
