-- The runner of a cancelled run's shard confirms that it has stopped, and says how far its tests came. The last one closes the
-- run's stop record (the trigger run_shards_stopped).
--
-- ?1 run   ?2 shard   ?3 lease token   ?4 now (ms)   ?5 how: graceful, terminated or killed
-- ?6 counts (JSON) or NULL   ?7 progress (JSON) or NULL   ?8 failures (JSON) or NULL
-- Plan: (run_id=? AND shard=?), INTEGER PRIMARY KEY
UPDATE run_shards
   SET state          = 'cancelled',
       stop_outcome   = ?5,
       counts         = coalesce(?6, counts),
       progress       = coalesce(?7, progress),
       failures       = coalesce(?8, failures),
       stop_closed_at = max(?4, (SELECT r.cancelled_at FROM runs r WHERE r.id = ?1))
 WHERE run_id = ?1 AND shard = ?2 AND lease_token = ?3 AND state = 'started'
   AND EXISTS (SELECT 1 FROM runs r WHERE r.id = ?1 AND r.state = 'cancelled');
