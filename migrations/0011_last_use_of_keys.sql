-- When each key was last used, by day.
ALTER TABLE keys ADD COLUMN last_used_on INTEGER;

UPDATE schema_version SET version = 11;
