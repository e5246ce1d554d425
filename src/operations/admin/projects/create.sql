-- Creates a project, unless its slug is taken.
--
-- ?1 slug   ?2 name   ?3 repository's name or NULL   ?4 this write's id   ?5 now (ms)
-- Plan: (none)
INSERT INTO projects (slug, name, repo_name, request_id, created_at)
SELECT ?1, ?2, ?3, ?4, ?5 WHERE ?1 IS NOT NULL -- so that a console, which binds nothing, creates nothing
ON CONFLICT (slug) DO NOTHING;
