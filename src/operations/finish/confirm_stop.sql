-- The runner of a cancelled run confirms that it has stopped.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 run   ?4 lease token   ?5 how: graceful or killed
-- Plan: (hash=?), INTEGER PRIMARY KEY
-- Row, if it took: the run's id
UPDATE runs
   SET stop_outcome = ?5, stop_closed_at = ?2
  FROM keys k
 WHERE k.hash = ?1 AND k.can_run = 1 AND k.valid_until > ?2
   AND runs.id = ?3 AND runs.project_id = k.project_id
   AND runs.state = 'cancelled' AND runs.stop_outcome = 'stopping' AND runs.lease_token = ?4
RETURNING json(id) AS row;
