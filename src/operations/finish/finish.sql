-- The runner finishes its run.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 run   ?4 this write's id   ?5 lease token
-- ?6 state: ended or error   ?7 result or NULL   ?8 error code or NULL   ?9 counts (JSON) or NULL
-- Plan: (hash=?), INTEGER PRIMARY KEY
-- Row, if it took: the run's id
UPDATE runs
   SET state             = ?6,
       result            = ?7,
       error_code        = ?8,
       counts            = ?9,
       ended_at          = ?2,
       ended_by          = k.user,
       finish_request_id = k.id || ':' || ?4
  FROM keys k
 WHERE k.hash = ?1 AND k.can_run = 1 AND k.valid_until > ?2
   AND runs.id = ?3 AND runs.project_id = k.project_id
   AND runs.state = 'started' AND runs.lease_token = ?5
RETURNING json(id) AS row;
