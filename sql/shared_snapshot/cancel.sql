-- Ends what these processes are doing right now. Whoever may connect as a role may cancel that role's queries.
SELECT
    pg_catalog.pg_cancel_backend(process.pid::integer)
FROM
    pg_catalog.jsonb_array_elements_text(:'pids'::jsonb) AS process (pid);
