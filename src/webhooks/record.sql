-- Records how attempts ended, each unless another has begun since or its project is being moved: then it is sent once more, from where
-- the project is by then. Triggers see to what follows for the webhook and for the run's next event. Once a webhook is deleted, the id
-- of its delivery may be that of another webhook's.
--
-- ?1 the attempts (JSON array of {id, webhook_id, attempt, state, due_at, status, failure, answer})   ?2 now (ms)
-- Plan: INTEGER PRIMARY KEY, buckets_frozen
UPDATE deliveries
   SET state = o.value ->> 'state', due_at = o.value ->> 'due_at', attempted_at = ?2, status = o.value ->> 'status',
       failure = o.value ->> 'failure', answer = o.value ->> 'answer'
  FROM (SELECT value FROM json_each(?1) LIMIT 100) o
 WHERE deliveries.id = o.value ->> 'id' AND deliveries.webhook_id = o.value ->> 'webhook_id' AND deliveries.attempts = o.value ->> 'attempt'
   AND deliveries.state = 'due' AND deliveries.fresh = 0
   AND NOT EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = (SELECT project_id FROM webhooks WHERE id = deliveries.webhook_id));
