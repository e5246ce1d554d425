-- Whether the repository has a project that is just being moved, and so was left out.
--
-- ?1 repository
-- Plan: buckets_frozen, projects_by_bucket, projects_by_repo
-- Row, if so: 1
SELECT '1' AS row
  FROM frozen_projects f
 CROSS JOIN projects p ON p.id = f.project_id AND p.repo_name = ?1 COLLATE NOCASE AND p.stop_on_close = 1
 WHERE f.state <> 'moved'
 LIMIT 1;
