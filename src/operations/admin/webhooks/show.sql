-- One webhook.
--
-- ?1 webhook
-- Plan: INTEGER PRIMARY KEY
-- Row: {item}: the webhook
SELECT json_object('item', json(w.webhook)) AS row FROM shown_webhooks w WHERE w.id = ?1 AND w.deleted_at IS NULL;
