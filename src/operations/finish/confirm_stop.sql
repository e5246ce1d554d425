-- The runner of a cancelled run's shard confirms that it has stopped. The last one closes the run's stop record (the trigger
-- run_shards_stopped).
--
-- ?1 run   ?2 shard   ?3 lease token   ?4 now (ms)   ?5 how: graceful, terminated or killed
-- Plan: (run_id=? AND shard=?), INTEGER PRIMARY KEY
UPDATE run_shards
   SET state          = 'cancelled',
       stop_outcome   = ?5,
       stop_closed_at = max(?4, (SELECT r.cancelled_at FROM runs r WHERE r.id = ?1))
 WHERE run_id = ?1 AND shard = ?2 AND lease_token = ?3 AND state = 'started'
   AND EXISTS (SELECT 1 FROM runs r WHERE r.id = ?1 AND r.state = 'cancelled');
