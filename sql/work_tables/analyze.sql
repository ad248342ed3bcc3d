-- Statistics of a work table that has just been filled: without them the planner guesses how many rows it has.
ANALYZE :marks;
