-- Takes the deliveries that are to go out at once: nobody else takes them until the lease is over. If the Worker dies
-- meanwhile, they are due again then. What is too old is left to end_switched_off.sql, and what is being moved stays as it is.
--
-- ?1 the lease's end (ms)   ?2 how many at most   ?3 now (ms)
-- Plan: buckets_frozen, deliveries_fresh, INTEGER PRIMARY KEY
-- Row, for each: {id, attempt, webhook_id, url, generation, previous_until, event, message_id, at, data, told, github}
UPDATE deliveries SET fresh = 0, attempts = attempts + 1, due_at = ?1
 WHERE id IN (SELECT d.id
                FROM (SELECT id, webhook_id, at
                        FROM (SELECT id, webhook_id, at FROM deliveries WHERE fresh = 1 ORDER BY id LIMIT 200) f
                       WHERE NOT EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = (SELECT project_id FROM webhooks WHERE id = f.webhook_id))
                       ORDER BY id LIMIT coalesce(?2, 0)) d
               CROSS JOIN webhooks w ON w.id = d.webhook_id AND w.disabled_at IS NULL AND w.deleted_at IS NULL
                                    AND (w.github IS NOT 'cancel_ci' OR d.at + 3600000 >= ?3))
RETURNING json_set((SELECT sent FROM sent_deliveries WHERE id = deliveries.id), '$.attempt', attempts) AS row;
