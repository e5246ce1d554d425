-- Orders the runners of a cancelled run that are still stopping to SIGKILL their tests at once, or changes nothing.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 run   ?4 this write's id
-- Plan: INTEGER PRIMARY KEY, (hash=?)
UPDATE runs
   SET version = version + 1,
       kill_at = max(?2, cancelled_at),
       (kill_by, kill_request_id) = (SELECT k.user, k.id || ':' || ?4 FROM keys k WHERE k.hash = ?1)
 WHERE runs.id = ?3 AND runs.stop_outcome = 'stopping' AND runs.kill_at IS NULL
   AND runs.project_id = (SELECT k.project_id FROM keys k WHERE k.hash = ?1 AND k.can_cancel = 1 AND k.valid_until > ?2);
