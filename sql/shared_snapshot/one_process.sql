-- Queries that run side by side have one process each: with workers of their own they would take more of the server
-- than was asked for.
SET LOCAL max_parallel_workers_per_gather = 0;
