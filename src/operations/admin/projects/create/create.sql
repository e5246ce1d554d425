-- Creates a project as the directory has it, in the database that has its bucket, unless it is there.
--
-- ?1 slug   ?2 name   ?3 repository's name or NULL   ?4 this write's id   ?5 this write's hash   ?6 now (ms)
-- ?7 project   ?8 bucket; both NULL in DB, which has the directory
-- Plan: (slug=?), (bucket=?), INTEGER PRIMARY KEY
INSERT INTO projects (id, slug, name, repo_name, request_id, request_hash, created_at, bucket)
SELECT e.id, ?1, ?2, ?3, ?4, ?5, ?6, e.bucket
  FROM (SELECT d.id, d.bucket FROM project_directory d
         WHERE d.slug = iif(?7 IS NULL, ?1, NULL)
           AND NOT EXISTS (SELECT 1 FROM buckets WHERE bucket = d.bucket AND state <> 'here')
        UNION ALL
        SELECT ?7, ?8 WHERE ?7 IS NOT NULL) e
 WHERE NOT EXISTS (SELECT 1 FROM projects WHERE id = e.id);
