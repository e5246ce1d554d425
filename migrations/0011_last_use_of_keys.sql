-- When each key was last used, by day.
--
-- Statements of earlier releases: all stay right. Writes nothing.
ALTER TABLE keys ADD COLUMN last_used_on INTEGER;

UPDATE schema_version SET version = 11;
