-- Creates an environment of a project, once for a write's id, unless the project has one with this slug.
--
-- ?1 project   ?2 slug   ?3 name   ?4 this write's id   ?5 this write's hash   ?6 now (ms)
-- Plan: INTEGER PRIMARY KEY, environments_by_request
INSERT INTO environments (id, project_id, slug, name, request_id, request_hash, created_at)
SELECT max(coalesce((SELECT max(id) FROM environments), 0), coalesce((SELECT last_environment FROM this_database), 0)) + 1,
       id, ?2, ?3, ?4, ?5, ?6
  FROM projects
 WHERE id = ?1
   AND NOT EXISTS (SELECT 1 FROM environments WHERE request_id = ?4)
ON CONFLICT (project_id, slug) DO NOTHING;
