-- A schema that the dump of single tables takes for granted.
CREATE SCHEMA :"schema";
