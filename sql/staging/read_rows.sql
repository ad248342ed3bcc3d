-- The rows of one table: ":columns" are its columns, times already shifted; ":filter" is a WHERE clause, or nothing.
COPY (SELECT :columns FROM ONLY :"schema".:"table" :filter) TO STDOUT;
