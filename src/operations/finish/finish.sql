-- The runner finishes its shard. The lease token is its credential: no key is asked. The last shard ends the run (the trigger
-- run_shards_finished).
--
-- ?1 run   ?2 shard   ?3 lease token   ?4 now (ms)   ?5 this write's id   ?6 this write's hash
-- ?7 state: ended or error   ?8 result or NULL   ?9 error code or NULL   ?10 counts (JSON) or NULL   ?11 how many failed, or NULL
-- ?12 progress (JSON) or NULL   ?13 failures (JSON) or NULL
-- Plan: (run_id=? AND shard=?), INTEGER PRIMARY KEY
UPDATE run_shards
   SET state               = ?7,
       result              = ?8,
       error_code          = ?9,
       counts              = coalesce(?10, counts),
       failed              = coalesce(?11, failed),
       progress            = coalesce(?12, progress),
       failures            = coalesce(?13, failures),
       ended_at            = max(?4, started_at),
       finish_request_id   = 'lease:' || ?5,
       finish_request_hash = ?6
 WHERE run_id = ?1 AND shard = ?2 AND lease_token = ?3 AND state = 'started'
   AND EXISTS (SELECT 1 FROM runs r WHERE r.id = ?1 AND r.state = 'started');
