-- Whether this session may set session_replication_role, which lets rows return under a constraint as they once came:
-- a superuser, or from version 15 a role that was granted it.
SELECT
    COALESCE((SELECT role.rolsuper FROM pg_catalog.pg_roles AS role WHERE role.rolname = current_user), false) AS is_allowed;
