-- A runner takes a shard of a run that is queued or started: one that no runner has had, whose lease has run out, or that was
-- carried over from an earlier attempt. A repeat, however late, takes nothing from its own runner. While another run's
-- runners hold its concurrency group, a queued run waits; if they were told to stop and their leases ran out so long ago that
-- the sweeper would give them up, it need not wait for the sweeper (the trigger runs_take_their_group gives them up). A
-- concurrency group means nothing without its project.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 run   ?4 this write's id   ?5 this write's hash   ?6 shard   ?7 lease token
-- ?8 lease (ms)   ?9 runner's name or NULL   ?10 the CI's attempt or NULL   ?11 the sweeper's timeout (ms)
-- Plan: INTEGER PRIMARY KEY, (hash=?), runs_by_held_group, (run_id=?)
INSERT INTO run_shards (run_id, shard, state, lease_token, lease_renewed_at, lease_expires_at, started_at, started_by,
                        claim_request_id, claim_request_hash, runner, attempt)
SELECT r.id, ?6, 'started', ?7, max(?2, r.waiting_since), max(?2, r.waiting_since) + ?8, max(?2, r.waiting_since), k.user,
       k.id || ':' || ?4, ?5, ?9, coalesce(?10, r.attempt)
  FROM keys k
 CROSS JOIN runs r ON r.id = ?3 AND r.project_id = k.project_id
 WHERE k.hash = ?1 AND k.can_run = 1 AND k.valid_until > ?2
   AND ?6 <= r.total_shards
   AND (r.state = 'started'
        OR (r.state = 'queued' AND NOT EXISTS (
            SELECT 1 FROM runs o
             WHERE o.project_id = r.project_id AND o.held_group = r.concurrency_group
               AND (o.stop_outcome IS NULL
                    OR EXISTS (SELECT 1 FROM run_shards s
                                WHERE s.run_id = o.id AND s.state = 'started' AND s.lease_expires_at > ?2 - ?11)))))
ON CONFLICT (run_id, shard) DO UPDATE
   SET state = 'started', result = NULL, error_code = NULL, counts = NULL, failed = 0, progress = NULL, failures = NULL,
       lease_token = excluded.lease_token, lease_renewed_at = excluded.lease_renewed_at,
       lease_expires_at = excluded.lease_expires_at, started_at = excluded.started_at, started_by = excluded.started_by,
       claim_request_id = excluded.claim_request_id, claim_request_hash = excluded.claim_request_hash,
       runner = excluded.runner, attempt = excluded.attempt, ended_at = NULL, finish_request_id = NULL, finish_request_hash = NULL, carried = 0
 WHERE carried = 1 OR (state = 'started' AND lease_expires_at <= ?2 AND claim_request_id <> excluded.claim_request_id);
