-- Takes deliveries whose next attempt is due, of each webhook two at most, so that one that does not answer keeps none of the
-- others waiting, those that waited longest first. As in take_fresh.sql, nobody else takes them until the lease is over.
-- `hooks` walks from one webhook with deliveries to come to the next, 200 at most.
--
-- ?1 now (ms)   ?2 the lease's end (ms)   ?3 how many at most
-- Plan: buckets_frozen, deliveries_due, INTEGER PRIMARY KEY
-- Row, for each: as in take_fresh.sql
WITH RECURSIVE hooks (id) AS (
    SELECT min(webhook_id) FROM deliveries WHERE due_at IS NOT NULL AND webhook_id > 0
    UNION ALL
    SELECT (SELECT min(webhook_id) FROM deliveries WHERE due_at IS NOT NULL AND webhook_id > s.id) FROM hooks s WHERE s.id IS NOT NULL
    LIMIT 200)
UPDATE deliveries SET fresh = 0, attempts = attempts + 1, due_at = ?2
 WHERE id IN (SELECT d.id
                FROM hooks s
               CROSS JOIN webhooks w ON w.id = s.id AND w.disabled_at IS NULL AND w.deleted_at IS NULL
                                    AND NOT EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = w.project_id)
               CROSS JOIN deliveries d ON d.id IN (SELECT id FROM deliveries
                                                    WHERE webhook_id = s.id AND due_at <= ?1 ORDER BY due_at LIMIT 2)
               ORDER BY d.due_at LIMIT coalesce(?3, 0))
RETURNING json_set((SELECT sent FROM sent_deliveries WHERE id = deliveries.id), '$.attempt', attempts) AS row;
