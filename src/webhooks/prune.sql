-- Removes what lies beyond the last 100 deliveries of some webhooks, the 50 oldest of each at most: but for those that are
-- still to come.
--
-- ?1 webhooks (JSON array of ids)
-- Plan: buckets_frozen, deliveries_by_webhook, INTEGER PRIMARY KEY
DELETE FROM deliveries
 WHERE id IN (SELECT d.id
                FROM (SELECT DISTINCT value AS id FROM json_each(?1) LIMIT 100) s
               CROSS JOIN deliveries d ON d.id IN (
                     SELECT id FROM deliveries
                      WHERE webhook_id = s.id
                        AND id < (SELECT id FROM deliveries WHERE webhook_id = s.id ORDER BY id DESC LIMIT 1 OFFSET 99)
                      ORDER BY id LIMIT 50)
               WHERE (d.state = 'delivered' OR d.state = 'failed')
                 AND NOT EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = (SELECT project_id FROM webhooks WHERE id = s.id)));
