-- A table of the quarantine whose rows are all back.
DROP TABLE :kept;
