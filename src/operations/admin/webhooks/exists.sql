-- Whether there is such a webhook, or was one.
--
-- ?1 webhook
-- Plan: INTEGER PRIMARY KEY
-- Row: {id}
SELECT json_object('id', id) AS row FROM webhooks WHERE id = ?1 AND github IS NULL;
