-- code: EVO305
-- The way back that the check gave, kept in the ledger.
:undo;
