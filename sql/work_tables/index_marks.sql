-- Lets a row be looked up in a work table that is going to be filled from another side too.
CREATE INDEX ON :marks (:key);
