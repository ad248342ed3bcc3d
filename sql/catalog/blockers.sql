-- Who keeps a change waiting: sessions and prepared transactions that hold, or stand in the queue for, a lock on one of the
-- tables in a mode that it conflicts with. No table given means every table of the schema, and of the ledger.
WITH
    wanted AS (
        SELECT
            relation.oid AS oid,
            relation.relname::text AS name,
            CASE WHEN relation.relkind = 'r' THEN pg_catalog.age(relation.relfrozenxid) ELSE 0 END AS age
        FROM
            pg_catalog.pg_class AS relation
            JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
        WHERE
            relation.relkind IN ('r', 'p')
            AND CASE
                WHEN :'tables'::jsonb = '[]'::jsonb THEN namespace.nspname IN (:'schema', 'evodoctor')
                ELSE namespace.nspname = :'schema' AND pg_catalog.jsonb_exists(:'tables'::jsonb, relation.relname::text)
            END
    ),
    blocking AS (
        SELECT
            lock.pid AS pid,
            CASE WHEN lock.pid IS NULL THEN lock.virtualtransaction END AS prepared,
            pg_catalog.bool_or(lock.granted) AS holds,
            pg_catalog.array_agg(DISTINCT wanted.name ORDER BY wanted.name) AS tables,
            pg_catalog.bool_or(wanted.age > pg_catalog.current_setting('autovacuum_freeze_max_age')::integer) AS is_old
        FROM
            pg_catalog.pg_locks AS lock
            JOIN wanted ON wanted.oid = lock.relation
        WHERE
            lock.database = (SELECT database.oid FROM pg_catalog.pg_database AS database WHERE database.datname = pg_catalog.current_database())
            AND lock.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
            AND pg_catalog.jsonb_exists(:'modes'::jsonb, lock.mode)
        GROUP BY
            lock.pid, prepared
    )
SELECT
    blocking.pid AS pid,
    blocking.holds AS holds,
    blocking.tables AS tables,
    COALESCE(activity.usename::text, prepared.owner::text) AS role,
    NULLIF(activity.application_name, '') AS application,
    pg_catalog.host(activity.client_addr) AS client,
    activity.state AS state,
    prepared.gid AS prepared,
    -- Without pg_read_all_stats a worker shows as a session of nobody.
    COALESCE(activity.backend_type = 'autovacuum worker', activity.pid IS NOT NULL AND activity.usesysid IS NULL) AS is_autovacuum,
    COALESCE(activity.query LIKE '%(to prevent wraparound)%', false) OR blocking.is_old AS prevents_wraparound,
    activity.pid IS NOT NULL AND activity.backend_type IS NULL AS is_hidden,
    pg_catalog.to_char(COALESCE(activity.xact_start, prepared.prepared) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"') AS since,
    EXTRACT(epoch FROM pg_catalog.clock_timestamp() - COALESCE(activity.xact_start, prepared.prepared))::bigint AS since_seconds,
    pg_catalog.to_char(activity.query_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"') AS query_since,
    EXTRACT(epoch FROM pg_catalog.clock_timestamp() - activity.query_start)::bigint AS query_seconds,
    current_user::text AS asking,
    (SELECT setting.setting::bigint FROM pg_catalog.pg_settings AS setting WHERE setting.name = 'deadlock_timeout') AS deadlock_timeout_ms
FROM
    blocking
    LEFT JOIN pg_catalog.pg_stat_activity AS activity ON activity.pid = blocking.pid
    -- A prepared transaction keeps the lock on its own number.
    LEFT JOIN pg_catalog.pg_locks AS own
        ON own.locktype = 'transactionid' AND own.pid IS NULL AND own.virtualtransaction = blocking.prepared
    LEFT JOIN pg_catalog.pg_prepared_xacts AS prepared ON prepared.transaction::text = own.transactionid::text
ORDER BY
    blocking.holds DESC, since_seconds DESC NULLS LAST, pid;
