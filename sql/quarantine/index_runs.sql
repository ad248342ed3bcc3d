-- The rows of each run of a series are found by this: without it, undoing run after run would read the whole table each time.
CREATE INDEX IF NOT EXISTS :"index" ON :kept ("evodoctor run");
