-- The decision, for each of the chosen runs: cancels it if it is not over, as cancel/cancel.sql does. The + makes SQLite
-- look up each run by its id, and not in each state of an index.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 this write's id   ?4 reason or NULL
-- Plan: (hash=?), (request_id=?), INTEGER PRIMARY KEY
-- Row, for each: its id
UPDATE runs
   SET state             = 'cancelled',
       cancelled_at      = ?2,
       cancel_reason     = ?4,
       cancel_cause      = 'user',
       cancel_by         = k.user,
       cancel_request_id = k.id || ':' || ?3,
       stop_outcome      = CASE WHEN lease_token IS NULL THEN 'never_started' ELSE 'stopping' END
  FROM keys k
 WHERE k.hash = ?1 AND k.can_cancel = 1 AND k.valid_until > ?2
   AND runs.id IN (SELECT j.value
                     FROM keys k
                     JOIN bulk_cancels b ON b.request_id = k.id || ':' || ?3
                    CROSS JOIN json_each(b.run_ids) j
                    WHERE k.hash = ?1)
   AND +runs.project_id = k.project_id
   AND +runs.state IN ('pending', 'queued', 'started')
RETURNING json(id) AS row;
