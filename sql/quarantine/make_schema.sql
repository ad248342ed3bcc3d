-- A schema for tables to look at, for nobody else: they hold whatever Evolution's rows hold.
CREATE SCHEMA :"name";

REVOKE ALL ON SCHEMA :"name" FROM PUBLIC;
