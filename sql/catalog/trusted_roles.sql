-- The roles whose tables are examined and whose ledger is read: superusers, the role of this session, the role that owns
-- Evolution's "Instance", and whoever is a member of that one and can act in its name anyway.
-- Spliced into other files as :trusted. Run by hand: psql -v schema=public -f sql/catalog/trusted_roles.sql
SELECT
    role.oid
FROM
    pg_catalog.pg_roles AS role
    LEFT JOIN (
        pg_catalog.pg_class AS instance
        JOIN pg_catalog.pg_namespace AS evolution ON evolution.oid = instance.relnamespace AND evolution.nspname = :'schema'
    ) ON instance.relname = 'Instance'
WHERE
    role.rolsuper
    OR role.rolname = current_user
    OR COALESCE(pg_catalog.pg_has_role(role.oid, instance.relowner, 'MEMBER'), false);
