-- Marks what forget_deliveries.sql left of a deleted webhook's deliveries: the newest is due, by which the tick finds the webhook until
-- it has deleted them all. Nothing is sent of it, and of an attempt that is under way nothing more is recorded.
--
-- ?1 webhook   ?2 now (ms)
-- Plan: deliveries_by_webhook, INTEGER PRIMARY KEY
UPDATE deliveries SET state = 'due', due_at = ?2, fresh = 0, attempts = attempts + 1
 WHERE id = (SELECT id FROM deliveries
              WHERE webhook_id = (SELECT id FROM webhooks WHERE id = ?1 AND deleted_at IS NOT NULL AND github IS NULL)
              ORDER BY id DESC LIMIT 1);
