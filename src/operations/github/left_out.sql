-- Whether the repository has a project that is just being moved, and so was left out.
--
-- ?1 repository
-- Plan: projects_by_repo, buckets_frozen
-- Row, if so: 1
SELECT '1' AS row
  FROM projects p
 CROSS JOIN buckets b INDEXED BY buckets_frozen ON b.frozen = 1 AND b.bucket = p.bucket AND b.state <> 'moved'
 WHERE p.repo_name = ?1 COLLATE NOCASE AND p.stop_on_close = 1
 LIMIT 1;
