-- How values are written as text, whatever the role's or the pooler's settings are.
SET LOCAL "DateStyle" TO 'ISO, YMD';
SET LOCAL "IntervalStyle" TO 'postgres';
SET LOCAL "bytea_output" TO 'hex';
SET LOCAL "extra_float_digits" TO 3;
-- Rows that a policy hides would be missing without a word.
SET LOCAL "row_security" TO off;
