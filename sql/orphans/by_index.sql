-- Rows are looked up in indexes: what would read a table from end to end, because a value is frequent, is no choice here.
SET LOCAL enable_seqscan = off;

SET LOCAL max_parallel_workers_per_gather = 0;
