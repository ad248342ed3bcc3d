-- Whether a finding's WHERE clause is understood: reads no row.
SELECT FROM ONLY :"schema".:"table" WHERE (:condition) LIMIT 0;
