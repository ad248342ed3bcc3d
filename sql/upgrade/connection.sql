-- The settings of Prisma's own connection: its schema, and otherwise the server's.
SET LOCAL search_path = :"schema";

SET LOCAL row_security TO DEFAULT;

SET LOCAL extra_float_digits TO DEFAULT;

SET LOCAL "DateStyle" TO DEFAULT;

SET LOCAL "IntervalStyle" TO DEFAULT;

SET LOCAL "TimeZone" TO DEFAULT;

SET LOCAL bytea_output TO DEFAULT;

SET LOCAL standard_conforming_strings TO DEFAULT;

SET LOCAL jit TO DEFAULT;

SET LOCAL statement_timeout = 0;
