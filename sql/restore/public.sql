-- Before PostgreSQL 15 the superuser owns it, and a dump that replaces it would fail.
ALTER SCHEMA "public" OWNER TO :"owner";
