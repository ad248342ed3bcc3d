-- Lets a sequence go on where another one is.
SELECT pg_catalog.setval(:'sequence'::pg_catalog.regclass, :'value'::bigint);
