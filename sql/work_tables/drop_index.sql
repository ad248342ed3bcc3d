-- The index was for as long as rows were removed.
DROP INDEX :index;
