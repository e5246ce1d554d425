-- Removes deliveries of a bucket that is not here, some at a time.
--
-- ?1 bucket   ?2 the state that its row must have   ?3 and the progress   ?4 how many at most
-- Plan: (bucket=?), projects_by_bucket, deliveries_by_webhook
-- Row, for each: 0
DELETE FROM deliveries
 WHERE id IN (SELECT d.id FROM webhooks s CROSS JOIN deliveries d ON d.webhook_id = s.id
               WHERE s.id > 0 AND +s.project_id IN (SELECT id FROM projects WHERE bucket = ?1)
               LIMIT coalesce(?4, 0))
   AND EXISTS (SELECT 1 FROM buckets WHERE bucket = ?1 AND state = ?2 AND progress = ?3)
RETURNING '0' AS row;
