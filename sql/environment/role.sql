-- Whether Evolution's role is a superuser.
SELECT role.rolsuper AS is_superuser
FROM
    pg_catalog.pg_roles AS role
WHERE
    role.rolname = :'role';
