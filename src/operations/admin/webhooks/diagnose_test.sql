-- What came of a test: nothing means that there is no such webhook.
--
-- ?1 webhook   ?2 this write's id   ?3 this write's hash
-- Plan: INTEGER PRIMARY KEY, deliveries_by_request
-- Row: {id, mine, item}; mine and item are null if nothing was written: the webhook is switched off; mine says whether it is of this very
--      request
SELECT json_object('id', w.id, 'mine', CASE WHEN d.id IS NOT NULL THEN iif(d.request_hash = ?3, 'yes', 'reused') END,
                   'item', json(d.delivery)) AS row
  FROM webhooks w
  LEFT JOIN shown_deliveries d ON d.request_id = ?2
 WHERE w.id = ?1 AND w.deleted_at IS NULL AND w.github IS NULL;
