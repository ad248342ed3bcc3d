-- The snapshot of an examination stands in nobody's way. Reading takes ACCESS SHARE, which keeps only those waiting who
-- want a table for themselves alone; behind such a one it does not queue for ever. A shorter limit of the role's own
-- holds.
SELECT
    pg_catalog.set_config('lock_timeout', '3s', true)
WHERE
    NOT pg_catalog.current_setting('lock_timeout')::interval BETWEEN '1ms' AND '3s';
