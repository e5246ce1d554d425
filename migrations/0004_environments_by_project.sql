-- The list of a project's environments, newest first, walks an index. Writes one row for each environment.
--
-- Statements of 0.1.0: all stay right.
CREATE INDEX environments_by_project ON environments (project_id);

UPDATE schema_version SET version = 4;
