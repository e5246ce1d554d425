-- What a heartbeat answers: the key, whether the runner holds the run, and the order to stop. It decides nothing.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 run   ?4 lease token
-- Plan: (hash=?), INTEGER PRIMARY KEY
-- Row: {key, run}; run is null if the key may not see it, and its `holds` is 1 if the lease is the runner's
SELECT json_object(
           'key', CASE WHEN k.id IS NULL THEN 'unknown' WHEN k.revoked_at IS NOT NULL THEN 'revoked'
                       WHEN k.valid_until <= ?2 THEN 'expired' WHEN k.can_run = 0 THEN 'unscoped' ELSE 'valid' END,
           'run', json(CASE WHEN r.id IS NOT NULL THEN json_object(
               'state', r.state, 'holds', r.lease_token IS ?4, 'lease_expires_at', r.lease_expires_at,
               'stop_outcome', r.stop_outcome, 'cancelled_at', r.cancelled_at, 'cancel_reason', r.cancel_reason,
               'cancel_cause', r.cancel_cause, 'cancel_by', r.cancel_by) END)) AS row
  FROM (SELECT 1)
  LEFT JOIN keys k ON k.hash = ?1
  LEFT JOIN runs r ON k.can_run = 1 AND k.valid_until > ?2 AND r.id = ?3 AND r.project_id = k.project_id;
