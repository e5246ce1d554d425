-- Writes a test event for a webhook that is on, once for a write's id.
--
-- ?1 webhook   ?2 now (ms)   ?3 this write's id   ?4 this write's hash
-- Plan: INTEGER PRIMARY KEY, deliveries_by_request
INSERT INTO deliveries (webhook_id, step, event, message_id, data, at, created_at, state, due_at, fresh, request_id, request_hash)
SELECT w.id, 0, 'test', 'msg_' || lower(hex(randomblob(16))),
       json_object('project', json_object('id', p.id, 'slug', p.slug, 'name', p.name), 'webhook', json_object('id', w.id)),
       ?2, ?2, 'due', ?2, 1, ?3, ?4
  FROM webhooks w
 CROSS JOIN projects p ON p.id = w.project_id
 WHERE w.id = ?1 AND w.deleted_at IS NULL AND w.disabled_at IS NULL AND w.github IS NULL
   AND NOT EXISTS (SELECT 1 FROM deliveries WHERE request_id = ?3);
