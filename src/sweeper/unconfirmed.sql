-- Unconfirmed: closes the shards of cancelled runs whose runner never confirmed and whose lease has run out. The last one
-- closes the run's stop record (the trigger run_shards_stopped).
--
-- ?1 now (ms)   ?2 the timeout (ms)   ?3 how many shards at most
-- Plan: buckets_frozen, runs_stopping, (run_id=? AND shard=?), INTEGER PRIMARY KEY
-- Row, for each: the run's id
UPDATE run_shards
   SET state = 'cancelled', stop_outcome = 'lost',
       stop_closed_at = max(?1, (SELECT cancelled_at FROM runs WHERE id = run_shards.run_id))
 WHERE (run_id, shard) IN (SELECT s.run_id, s.shard
                             FROM runs r INDEXED BY runs_stopping
                            CROSS JOIN run_shards s ON s.run_id = r.id
                            WHERE r.stop_outcome = 'stopping' AND s.state = 'started' AND s.lease_expires_at <= ?1 - ?2
                              AND NOT EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = r.project_id)
                            ORDER BY s.lease_expires_at
                            LIMIT coalesce(?3, 100))
RETURNING json(run_id) AS row;
