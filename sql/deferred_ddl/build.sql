-- An index, built while others read and write.
-- Run by hand: psql -v schema=public -v index=NAME -v table=Chat -v columns='"instanceId", "remoteJid"'
CREATE INDEX CONCURRENTLY :"index" ON :"schema".:"table" (:columns);
