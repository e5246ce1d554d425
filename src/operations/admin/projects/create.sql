-- Creates a project, once for a write's id, unless its slug is taken.
--
-- ?1 slug   ?2 name   ?3 repository's name or NULL   ?4 this write's id   ?5 this write's hash   ?6 now (ms)
-- Plan: projects_by_request
INSERT INTO projects (slug, name, repo_name, request_id, request_hash, created_at)
SELECT ?1, ?2, ?3, ?4, ?5, ?6
 WHERE ?1 IS NOT NULL -- so that a console, which binds nothing, creates nothing
   AND NOT EXISTS (SELECT 1 FROM projects WHERE request_id = ?4)
ON CONFLICT (slug) DO NOTHING;
