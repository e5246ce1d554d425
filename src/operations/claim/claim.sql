-- A runner takes a queued run whose concurrency group no other runner holds.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 run   ?4 this write's id   ?5 lease token   ?6 lease (ms)   ?7 runner's name or NULL
-- Plan: (hash=?), INTEGER PRIMARY KEY, runs_by_active_group
-- Row, if it took: the run's id
UPDATE runs
   SET state            = 'started',
       lease_token      = ?5,
       lease_renewed_at = ?2,
       lease_expires_at = ?2 + ?6,
       started_at       = ?2,
       started_by       = k.user,
       runner           = ?7,
       claim_request_id = k.id || ':' || ?4
  FROM keys k
 WHERE k.hash = ?1 AND k.can_run = 1 AND k.valid_until > ?2
   AND runs.id = ?3 AND runs.project_id = k.project_id
   AND runs.state = 'queued'
   AND NOT EXISTS (SELECT 1 FROM runs o
                    WHERE o.project_id = runs.project_id AND o.active_group = runs.active_group
                      AND (o.state = 'started' OR o.stop_outcome = 'stopping'))
RETURNING json(id) AS row;
