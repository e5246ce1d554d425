-- What a database knows of a bucket.
--
-- ?1 bucket
-- Plan: (bucket=?), projects_by_bucket
-- Row: {state, moved_to, moved_from, frozen, progress, has_projects}; all but the last are null where it knows nothing of it
SELECT json_object('state', b.state, 'moved_to', b.moved_to, 'moved_from', b.moved_from, 'frozen', b.frozen, 'progress', b.progress,
                   'has_projects', json(iif(EXISTS (SELECT 1 FROM projects WHERE bucket = ?1), 'true', 'false'))) AS row
  FROM (SELECT 1) one
  LEFT JOIN buckets b ON b.bucket = ?1;
