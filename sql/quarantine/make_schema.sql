-- The schema of undo --into-schema. Only its owner may use it, because its tables hold Evolution's rows.
CREATE SCHEMA :"name";

REVOKE ALL ON SCHEMA :"name" FROM PUBLIC;
