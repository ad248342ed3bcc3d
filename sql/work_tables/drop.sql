-- A work table is no longer needed.
DROP TABLE :marks;
