-- Sees from now on what the transaction sees that exported the snapshot. Nothing may have been asked before.
SET TRANSACTION SNAPSHOT :'snapshot';
