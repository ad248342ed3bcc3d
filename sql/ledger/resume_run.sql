-- Makes a recorded run the one that the quarantine's statements speak of.
SELECT pg_catalog.set_config('evodoctor.run', :'run', true);
