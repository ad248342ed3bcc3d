-- A key, held against the rows that are there, while others read and write.
-- Run by hand: psql -v schema=public -v table=Chat -v key=NAME
ALTER TABLE :"schema".:"table" VALIDATE CONSTRAINT :"key";
