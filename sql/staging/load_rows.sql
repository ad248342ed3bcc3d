-- Takes the rows of one table.
COPY :"schema".:"table" (:columns) FROM STDIN;
