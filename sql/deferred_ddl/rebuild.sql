-- An index, built again while others read and write.
-- Run by hand: psql -v schema=public -v index=NAME
REINDEX INDEX CONCURRENTLY :"schema".:"index";
