-- The decision: cancels a run that is not over, or changes nothing.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 run   ?4 this write's id   ?5 reason or NULL
-- Plan: (hash=?), INTEGER PRIMARY KEY
-- Row, if it took: {cancelled_at, cancel_by}
UPDATE runs
   SET state             = 'cancelled',
       cancelled_at      = ?2,
       cancel_reason     = ?5,
       cancel_cause      = 'user',
       cancel_by         = k.user,
       cancel_request_id = k.id || ':' || ?4,
       stop_outcome      = CASE WHEN lease_token IS NULL THEN 'never_started' ELSE 'stopping' END
  FROM keys k
 WHERE k.hash = ?1 AND k.can_cancel = 1 AND k.valid_until > ?2
   AND runs.id = ?3 AND runs.project_id = k.project_id
   AND runs.state IN ('pending', 'queued', 'started')
RETURNING json_object('cancelled_at', cancelled_at, 'cancel_by', cancel_by) AS row;
