-- Aborts the batch if the schema is older than the Worker needs, so that nothing is written to it: json() refuses what is
-- no JSON.
--
-- ?1 the version that the Worker needs
-- Plan: SCAN schema_version (it has one row)
-- Row: {version}
SELECT json_object('version', CASE WHEN version < ?1 THEN json('too old') ELSE version END) AS row FROM schema_version;
