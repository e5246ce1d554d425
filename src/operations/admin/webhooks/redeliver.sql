-- Writes once more what was delivered or given up, of a webhook that is on, once for a write's id.
--
-- ?1 delivery   ?2 now (ms)   ?3 this write's id   ?4 this write's hash
-- Plan: INTEGER PRIMARY KEY, deliveries_by_request
INSERT INTO deliveries (webhook_id, run_id, step, event, message_id, data, at, created_at, redelivers, state, due_at, fresh,
                        request_id, request_hash)
SELECT d.webhook_id, d.run_id, d.step, d.event, d.message_id, d.data, d.at, ?2, d.id, 'due', ?2, 1, ?3, ?4
  FROM deliveries d
 CROSS JOIN webhooks w ON w.id = d.webhook_id AND w.deleted_at IS NULL AND w.disabled_at IS NULL AND w.github IS NULL
 WHERE d.id = ?1 AND (d.state = 'delivered' OR d.state = 'failed')
   AND NOT EXISTS (SELECT 1 FROM deliveries WHERE request_id = ?3);
