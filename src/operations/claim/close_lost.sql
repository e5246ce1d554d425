-- Gives up a runner that was told to stop, still holds the run's concurrency group, and whose lease has run out so long ago
-- that the sweeper would give it up, so that a claim need not wait for the sweeper. (One holds a group at a time, and a
-- group's name means nothing without its project.)
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 run that is about to be claimed   ?4 the sweeper's timeout (ms)
-- Plan: (hash=?), INTEGER PRIMARY KEY, runs_by_held_group
UPDATE runs
   SET stop_outcome = 'lost', stop_closed_at = max(?2, cancelled_at)
 WHERE id = (SELECT o.id FROM runs o INDEXED BY runs_by_held_group
              WHERE o.project_id = (SELECT k.project_id FROM keys k WHERE k.hash = ?1 AND k.can_run = 1 AND k.valid_until > ?2)
                AND o.held_group = (SELECT concurrency_group FROM runs WHERE id = ?3)
                AND o.stop_outcome = 'stopping' AND o.lease_expires_at <= ?2 - ?4
              LIMIT 1);
