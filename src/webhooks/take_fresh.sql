-- Takes the deliveries that are to go out at once: nobody else takes them until the lease is over. If the Worker dies
-- meanwhile, they are due again then.
--
-- ?1 the lease's end (ms)   ?2 how many at most
-- Plan: deliveries_fresh, INTEGER PRIMARY KEY
-- Row, for each: {id, attempt, webhook_id, url, generation, previous_until, event, message_id, at, data, told, github}
UPDATE deliveries SET fresh = 0, attempts = attempts + 1, due_at = ?1
 WHERE id IN (SELECT d.id
                FROM (SELECT id, webhook_id FROM deliveries WHERE fresh = 1 ORDER BY id LIMIT coalesce(?2, 0)) d
               CROSS JOIN webhooks w ON w.id = d.webhook_id AND w.disabled_at IS NULL AND w.deleted_at IS NULL)
RETURNING json_set((SELECT sent FROM sent_deliveries WHERE id = deliveries.id), '$.attempt', attempts) AS row;
