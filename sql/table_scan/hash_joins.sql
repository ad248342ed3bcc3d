-- Tables are compared by a hash. Where nothing is known of a table, or a condition is taken for rare, the planner would look through
-- one table for each row of the other, which takes hours where both are large; or sort both, which takes twice as long as hashing
-- them, in several batches too.
SET LOCAL enable_nestloop = off;
SET LOCAL enable_mergejoin = off;
