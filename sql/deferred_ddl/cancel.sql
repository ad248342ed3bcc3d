-- Ends a statement of ours, wherever a pooler has sent it.
SELECT
    pg_catalog.pg_cancel_backend(activity.pid) AS is_told
FROM
    pg_catalog.pg_stat_activity AS activity
WHERE
    activity.datname = pg_catalog.current_database()
    AND activity.pid <> pg_catalog.pg_backend_pid()
    AND activity.state = 'active'
    AND pg_catalog.left(:'statement', GREATEST(pg_catalog.length(activity.query), 60)) = activity.query;
