-- How far the sequences of a schema have counted. NULL where one was never used, or where this role may not look.
-- Run by hand: psql -v schema=public -f sql/staging/sequences.sql
SELECT
    sequence.sequencename::text AS name,
    sequence.last_value
FROM
    pg_catalog.pg_sequences AS sequence
WHERE
    sequence.schemaname = :'schema'
    AND sequence.last_value IS NOT NULL
ORDER BY
    sequence.sequencename;
