-- The runner of a cancelled run confirms that it has stopped.
--
-- ?1 run   ?2 lease token   ?3 now (ms)   ?4 how: graceful, terminated or killed
-- Plan: INTEGER PRIMARY KEY
UPDATE runs
   SET stop_outcome    = iif(?4 = 'terminated', 'graceful', ?4),
       stop_terminated = ?4 = 'terminated',
       stop_closed_at  = max(?3, cancelled_at)
 WHERE id = ?1 AND lease_token = ?2 AND state = 'cancelled' AND stop_outcome = 'stopping';
