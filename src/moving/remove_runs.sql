-- Removes runs of a bucket that is not here, some at a time, with their events and shards: the trigger `runs_leave` takes those along.
--
-- ?1 bucket   ?2 the state that its row must have   ?3 and the progress   ?4 how many at most
-- Plan: (bucket=?), projects_by_bucket, runs_by_project
-- Row, for each: 0
DELETE FROM runs
 WHERE id IN (SELECT r.id FROM projects p CROSS JOIN runs r INDEXED BY runs_by_project ON r.project_id = p.id
               WHERE p.bucket = ?1 ORDER BY p.id, r.id LIMIT coalesce(?4, 0))
   AND EXISTS (SELECT 1 FROM buckets WHERE bucket = ?1 AND state = ?2 AND progress = ?3)
RETURNING '0' AS row;
