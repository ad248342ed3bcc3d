-- Indexes are read in their order and merged; ranges run side by side already.
SET LOCAL enable_seqscan = off;

SET LOCAL enable_bitmapscan = off;

SET LOCAL enable_hashjoin = off;

SET LOCAL enable_nestloop = off;

SET LOCAL enable_sort = off;

SET LOCAL enable_hashagg = off;

SET LOCAL max_parallel_workers_per_gather = 0;
