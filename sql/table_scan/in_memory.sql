-- Room for hashes of the tables that are referred to, which have half a million rows at most. Pieces run side by side.
SET LOCAL work_mem = '64MB';

SET LOCAL max_parallel_workers_per_gather = 0;
