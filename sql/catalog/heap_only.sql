-- The tables themselves are read and no index is trusted: one that is corrupt, after a change of the collation for
-- example, hides rows.
SET LOCAL enable_indexscan = off;

SET LOCAL enable_indexonlyscan = off;

SET LOCAL enable_bitmapscan = off;
