-- Each pass reads the whole table and keeps a part of it. A scan of a range of places would not: it takes a page of the server's
-- cache for each page of the table, and what others need goes; a scan of all takes a few pages, and takes these again and again.
SET LOCAL enable_tidscan = off;

-- As for chunks: room for hashes, and one process each.
SET LOCAL work_mem = '64MB';

SET LOCAL max_parallel_workers_per_gather = 0;
