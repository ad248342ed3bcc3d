-- Tables are compared by a hash, or in order. Where nothing is known of a table, or a condition is taken for rare, the planner
-- would look through one table for each row of the other, which takes hours where both are large.
SET LOCAL enable_nestloop = off;
