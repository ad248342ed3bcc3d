-- The role that owns what a dump holds. It is no superuser: what the dump's text asks for beyond its own database is
-- refused by the server. Row-level security hides nothing from it.
CREATE ROLE :"owner" LOGIN BYPASSRLS;
