-- code: EVO206
-- The way back that the check gave, kept in the ledger.
:undo;
