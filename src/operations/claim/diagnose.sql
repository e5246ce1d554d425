-- Why a claim took or did not: the key, the run as it is now, and the run that goes first. It decides nothing.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 run   ?4 this write's id
-- Plan: (hash=?), INTEGER PRIMARY KEY, runs_by_active_group
-- Row: {key, run, started_at, lease, first}; run is null if the key may not see it; lease is there if this very request
--      claimed it; first is the run of the same concurrency group for which this one waits
SELECT json_object(
           'key', CASE WHEN k.id IS NULL THEN 'unknown' WHEN k.revoked_at IS NOT NULL THEN 'revoked'
                       WHEN k.valid_until <= ?2 THEN 'expired' WHEN k.can_run = 0 THEN 'unscoped' ELSE 'valid' END,
           'run', json(CASE WHEN r.id IS NOT NULL THEN json_object(
               'state', r.state, 'result', r.result, 'error_code', r.error_code, 'ended_at', r.ended_at,
               'cancelled_at', r.cancelled_at, 'cancel_by', r.cancel_by) END),
           'started_at', r.started_at,
           'lease', json(CASE WHEN r.claim_request_id = k.id || ':' || ?4 THEN json_object(
               'token', r.lease_token, 'expires_at', r.lease_expires_at) END),
           'first', json((SELECT json_object(
                   'id', o.id, 'state', o.state, 'by', coalesce(o.cancel_by, o.started_by, o.created_by),
                   'runner', o.runner, 'started_at', o.started_at, 'cancelled_at', o.cancelled_at,
                   'lease_expires_at', o.lease_expires_at)
               FROM runs o
              WHERE o.project_id = r.project_id AND o.active_group = r.active_group AND o.id <> r.id
                AND r.state IN ('pending', 'queued')
                AND (o.state = 'started' OR o.stop_outcome = 'stopping' OR (r.state = 'pending' AND o.state = 'queued'))
              ORDER BY o.id LIMIT 1))) AS row
  FROM (SELECT 1)
  LEFT JOIN keys k ON k.hash = ?1
  LEFT JOIN runs r ON k.can_run = 1 AND k.valid_until > ?2 AND r.id = ?3 AND r.project_id = k.project_id;
