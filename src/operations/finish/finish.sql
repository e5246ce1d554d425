-- The runner finishes its run. The lease token is its credential: no key is asked.
--
-- ?1 run   ?2 lease token   ?3 now (ms)   ?4 this write's id   ?5 this write's hash
-- ?6 state: ended or error   ?7 result or NULL   ?8 error code or NULL   ?9 counts (JSON) or NULL
-- Plan: INTEGER PRIMARY KEY
UPDATE runs
   SET state               = ?6,
       result              = ?7,
       error_code          = ?8,
       counts              = ?9,
       ended_at            = max(?3, started_at),
       ended_by            = started_by,
       finish_request_id   = 'lease:' || ?4,
       finish_request_hash = ?5
 WHERE id = ?1 AND lease_token = ?2 AND state = 'started';
