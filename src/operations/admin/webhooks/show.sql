-- One webhook.
--
-- ?1 webhook
-- Plan: INTEGER PRIMARY KEY
-- Row: {id, item}: the webhook
SELECT json_object('id', w.id, 'item', json(w.webhook)) AS row FROM shown_webhooks w WHERE w.id = ?1 AND w.deleted_at IS NULL AND w.github IS NULL;
