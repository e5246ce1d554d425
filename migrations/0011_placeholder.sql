-- A number that another change takes. Writes nothing.
--
-- Statements of earlier releases: all stay right.

UPDATE schema_version SET version = 11;
