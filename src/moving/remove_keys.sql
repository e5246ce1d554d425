-- Removes keys of a bucket that is not here, some at a time, once their bulk cancels are gone.
--
-- ?1 bucket   ?2 the state that its row must have   ?3 and the progress   ?4 how many at most
-- Plan: (bucket=?), projects_by_bucket, keys_by_project
-- Row, for each: 0
DELETE FROM keys
 WHERE id IN (SELECT k.id FROM projects p CROSS JOIN keys k ON k.project_id = p.id
               WHERE p.bucket = ?1
                 AND NOT EXISTS (SELECT 1 FROM bulk_cancels t WHERE t.request_id > k.id || ':' AND t.request_id < k.id || ';')
               LIMIT coalesce(?4, 0))
   AND EXISTS (SELECT 1 FROM buckets WHERE bucket = ?1 AND state = ?2 AND progress = ?3)
RETURNING '0' AS row;
