-- The decision: cancels a run that is not over, or changes nothing. All of its shards are cancelled with it: a heartbeat
-- reads the run's row.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 run   ?4 this write's id   ?5 this write's hash   ?6 reason or NULL
-- Plan: INTEGER PRIMARY KEY, (hash=?)
UPDATE runs
   SET version             = version + 1,
       state               = 'cancelled',
       cancelled_at        = max(?2, waiting_since, coalesce(started_at, 0)), -- a late repeat must not go back in time
       cancel_reason       = ?6,
       cancel_cause        = 'user',
       (cancel_by, cancel_request_id) = (SELECT k.user, k.id || ':' || ?4 FROM keys k WHERE k.hash = ?1),
       cancel_request_hash = ?5,
       stop_outcome        = iif(open_shards = 0, 'never_started', 'stopping')
 WHERE runs.id = ?3 AND runs.open_state IS NOT NULL
   AND runs.project_id = (SELECT k.project_id FROM keys k WHERE k.hash = ?1 AND k.can_cancel = 1 AND k.valid_until > ?2);
