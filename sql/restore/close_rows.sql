-- The dump does not hold the rows of this table. It looks empty and is not: what cannot be read is not taken for
-- empty, and a check that needs it is undecided.
REVOKE ALL ON TABLE :"schema".:"table" FROM PUBLIC, CURRENT_USER;
