-- Gives up the runners that were told to stop, still hold the run's concurrency group, and whose lease has run out, so
-- that a claim need not wait for the sweeper.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 run that is about to be claimed
-- Plan: (hash=?), runs_by_active_group, INTEGER PRIMARY KEY
-- Row, for each: its id
UPDATE runs
   SET stop_outcome = 'lost', stop_closed_at = ?2
 WHERE id IN (SELECT o.id
                FROM keys k
                JOIN runs r ON r.id = ?3 AND r.project_id = k.project_id
                JOIN runs o ON o.project_id = r.project_id AND o.active_group = r.concurrency_group
               WHERE k.hash = ?1 AND k.can_run = 1 AND k.valid_until > ?2
                 AND o.stop_outcome = 'stopping' AND o.lease_expires_at <= ?2)
RETURNING json(id) AS row;
