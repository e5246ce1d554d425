-- Removes the deliveries of a webhook that is deleted, the 1,000 oldest at most: it keeps a hundred. What else there may be of it, the
-- tick deletes (mark_rest.sql).
--
-- ?1 webhook
-- Plan: deliveries_by_webhook, INTEGER PRIMARY KEY
DELETE FROM deliveries
 WHERE id IN (SELECT d.id FROM deliveries d
               WHERE d.webhook_id = (SELECT id FROM webhooks WHERE id = ?1 AND deleted_at IS NOT NULL AND github IS NULL)
               ORDER BY d.id LIMIT 1000);
