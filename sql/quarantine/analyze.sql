-- Many rows came since the server last looked, and none of the statements that follow may take them for one.
ANALYZE "evodoctor"."quarantine" ("run", "code", "table_schema", "table_name", "action");
