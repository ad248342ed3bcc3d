-- The lines of pg_hba.conf that let clients of other machines in without a password.
SELECT
    rule.line_number AS line,
    pg_catalog.concat_ws(
        ' ', rule.type, pg_catalog.array_to_string(rule.database, ','), pg_catalog.array_to_string(rule.user_name, ','),
        rule.address, rule.netmask, rule.auth_method
    ) AS text
FROM
    pg_catalog.pg_hba_file_rules AS rule
WHERE
    rule.auth_method = 'trust'
    AND rule.type LIKE 'host%'
    AND rule.error IS NULL
    AND rule.address NOT IN ('127.0.0.1', '::1', 'localhost', 'samehost')
    AND rule.address NOT LIKE '127.%'
ORDER BY
    rule.line_number;
