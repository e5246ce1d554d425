-- The version of the schema: the number of the last migration.
--
-- Plan: SCAN schema_version (it has one row)
-- Row: {version}
SELECT json_object('version', version) AS row FROM schema_version;
