-- Removes bulk cancels of a bucket that is not here, some at a time.
--
-- ?1 bucket   ?2 the state that its row must have   ?3 and the progress   ?4 how many at most
-- Plan: (bucket=?), projects_by_bucket, keys_by_project, (request_id>? AND request_id<?)
-- Row, for each: 0
DELETE FROM bulk_cancels
 WHERE request_id IN (SELECT t.request_id
                        FROM projects p
                       CROSS JOIN keys k ON k.project_id = p.id
                       CROSS JOIN bulk_cancels t ON t.request_id > k.id || ':' AND t.request_id < k.id || ';'
                       WHERE p.bucket = ?1 LIMIT coalesce(?4, 0))
   AND EXISTS (SELECT 1 FROM buckets WHERE bucket = ?1 AND state = ?2 AND progress = ?3)
RETURNING '0' AS row;
