-- Creates an environment of a project, unless the project has one with this slug.
--
-- ?1 project   ?2 slug   ?3 name   ?4 this write's id   ?5 now (ms)
-- Plan: INTEGER PRIMARY KEY
INSERT INTO environments (project_id, slug, name, request_id, created_at)
SELECT id, ?2, ?3, ?4, ?5 FROM projects WHERE id = ?1
ON CONFLICT (project_id, slug) DO NOTHING;
