-- Renews a lease of which less than half is left; a heartbeat before that writes nothing. A lease that ran out is renewed
-- too, as long as nothing has ended the run: after an outage the tests that went on are believed. A runner that is
-- stopping keeps its lease while it does, for a limited time, so that no stop record stays open for ever.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 run   ?4 lease token   ?5 lease (ms)   ?6 how long a stop may take (ms)
-- Plan: (hash=?), INTEGER PRIMARY KEY
-- Row, if it renewed: the run's id
UPDATE runs
   SET lease_renewed_at = ?2, lease_expires_at = ?2 + ?5
  FROM keys k
 WHERE k.hash = ?1 AND k.can_run = 1 AND k.valid_until > ?2
   AND runs.id = ?3 AND runs.project_id = k.project_id
   AND runs.lease_token = ?4 AND runs.lease_expires_at < ?2 + ?5 / 2
   AND (runs.state = 'started' OR (runs.stop_outcome = 'stopping' AND runs.cancelled_at > ?2 - ?6))
RETURNING json(id) AS row;
