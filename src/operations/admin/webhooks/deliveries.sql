-- The last 100 deliveries of a webhook, newest first.
--
-- ?1 webhook
-- Plan: INTEGER PRIMARY KEY, deliveries_by_webhook
-- Row, if there is such a webhook: {id, item}: the deliveries, as an array
SELECT json_object('id', w.id, 'item', json((SELECT json_group_array(json(delivery))
          FROM (SELECT d.delivery FROM shown_deliveries d WHERE d.webhook_id = w.id ORDER BY d.id DESC LIMIT 100)))) AS row
  FROM webhooks w
 WHERE w.id = ?1 AND w.deleted_at IS NULL AND w.github IS NULL;
