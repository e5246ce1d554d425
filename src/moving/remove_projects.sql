-- Removes projects of a bucket that is not here, some at a time, once nothing else is left of the bucket.
--
-- ?1 bucket   ?2 the state that its row must have   ?3 and the progress   ?4 how many at most
-- Plan: (bucket=?), projects_by_bucket
-- Row, for each: 0
DELETE FROM projects
 WHERE id IN (SELECT p.id FROM projects p
               WHERE p.bucket = ?1
                 AND NOT EXISTS (SELECT 1 FROM runs WHERE project_id = p.id)
                 AND NOT EXISTS (SELECT 1 FROM keys WHERE project_id = p.id)
                 AND NOT EXISTS (SELECT 1 FROM environments WHERE project_id = p.id)
                 AND NOT EXISTS (SELECT 1 FROM daily_runs WHERE project_id = p.id)
                 AND NOT EXISTS (SELECT 1 FROM archives WHERE project_id = p.id)
               LIMIT coalesce(?4, 0))
   AND NOT EXISTS (SELECT 1 FROM webhooks WHERE id > 0 AND +project_id IN (SELECT id FROM projects WHERE bucket = ?1))
   AND NOT EXISTS (SELECT 1 FROM admin_events WHERE id > 0 AND +project_id IN (SELECT id FROM projects WHERE bucket = ?1))
   AND EXISTS (SELECT 1 FROM buckets WHERE bucket = ?1 AND state = ?2 AND progress = ?3)
RETURNING '0' AS row;
