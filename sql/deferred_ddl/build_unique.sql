-- A unique index, built while others read and write.
-- Run by hand: psql -v schema=public -v index=NAME -v table=Chat -v columns='"instanceId", "remoteJid"'
CREATE UNIQUE INDEX CONCURRENTLY :"index" ON :"schema".:"table" (:columns);
