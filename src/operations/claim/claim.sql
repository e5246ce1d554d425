-- A runner takes a queued run whose concurrency group no other runner holds.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 run   ?4 this write's id   ?5 this write's hash   ?6 lease token   ?7 lease (ms)
-- ?8 runner's name or NULL
-- Plan: INTEGER PRIMARY KEY, (hash=?), runs_by_held_group
UPDATE runs
   SET state              = 'started',
       lease_token        = ?6,
       lease_renewed_at   = max(?2, waiting_since),
       lease_expires_at   = max(?2, waiting_since) + ?7,
       started_at         = max(?2, waiting_since),
       (started_by, claim_request_id) = (SELECT k.user, k.id || ':' || ?4 FROM keys k WHERE k.hash = ?1),
       claim_request_hash = ?5,
       runner             = ?8
 WHERE (runs.id, runs.project_id) = (SELECT ?3, k.project_id FROM keys k
                                      WHERE k.hash = ?1 AND k.can_run = 1 AND k.valid_until > ?2)
   AND runs.state = 'queued'
   AND NOT EXISTS (SELECT 1 FROM runs o WHERE o.project_id = runs.project_id AND o.held_group = runs.concurrency_group);
