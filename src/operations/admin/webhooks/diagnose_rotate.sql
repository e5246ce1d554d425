-- What came of giving a webhook a new secret: nothing means that there is no such webhook.
--
-- ?1 webhook   ?2 this write's id   ?3 this write's hash
-- Plan: INTEGER PRIMARY KEY
-- Row: {mine, id, generation, item}; mine says whether the secret is of this very request
SELECT json_object(
           'mine', CASE WHEN w.rotate_request_id IS NOT ?2 THEN 'no' WHEN w.rotate_request_hash = ?3 THEN 'yes' ELSE 'reused' END,
           'id', w.id, 'generation', w.generation, 'item', json(w.webhook)) AS row
  FROM shown_webhooks w
 WHERE w.id = ?1 AND w.deleted_at IS NULL AND w.github IS NULL;
