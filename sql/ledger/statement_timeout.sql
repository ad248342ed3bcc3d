-- How long a statement may take.
SELECT
    pg_catalog.current_setting('statement_timeout') AS statement_timeout;
