-- Removes environments of a bucket that is not here, some at a time.
--
-- ?1 bucket   ?2 the state that its row must have   ?3 and the progress   ?4 how many at most
-- Plan: (bucket=?), projects_by_bucket, environments_by_project
-- Row, for each: 0
DELETE FROM environments
 WHERE id IN (SELECT t.id FROM projects p CROSS JOIN environments t ON t.project_id = p.id
               WHERE p.bucket = ?1 LIMIT coalesce(?4, 0))
   AND EXISTS (SELECT 1 FROM buckets WHERE bucket = ?1 AND state = ?2 AND progress = ?3)
RETURNING '0' AS row;
