-- A runner that was given up as lost says how its tests ended after all. It is kept beside the cancel, once and for some days.
--
-- ?1 run   ?2 shard   ?3 lease token   ?4 now (ms)   ?5 for how long after it was given up (ms)
-- ?6 what is kept (JSON): {state, result, error_code, counts, at}
-- Plan: (run_id=? AND shard=?)
UPDATE run_shards
   SET late_result = ?6
 WHERE run_id = ?1 AND shard = ?2 AND lease_token = ?3 AND stop_outcome = 'lost' AND late_result IS NULL
   AND stop_closed_at > ?4 - ?5;
