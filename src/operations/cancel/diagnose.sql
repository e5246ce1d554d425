-- Why a cancel took or did not: the key, and the run as it is now. It decides nothing.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 run   ?4 this write's id
-- Plan: (hash=?), INTEGER PRIMARY KEY
-- Row: {key, run, mine}; run is null if the key may not see it; mine is 1 if this very request cancelled it
SELECT json_object(
           'key', CASE WHEN k.id IS NULL THEN 'unknown' WHEN k.revoked_at IS NOT NULL THEN 'revoked'
                       WHEN k.valid_until <= ?2 THEN 'expired' WHEN k.can_cancel = 0 THEN 'unscoped' ELSE 'valid' END,
           'run', json(CASE WHEN r.id IS NOT NULL THEN json_object(
               'state', r.state, 'result', r.result, 'error_code', r.error_code, 'ended_at', r.ended_at,
               'cancelled_at', r.cancelled_at, 'cancel_by', r.cancel_by) END),
           'mine', r.cancel_request_id IS k.id || ':' || ?4) AS row
  FROM (SELECT 1)
  LEFT JOIN keys k ON k.hash = ?1
  LEFT JOIN runs r ON k.can_cancel = 1 AND k.valid_until > ?2 AND r.id = ?3 AND r.project_id = k.project_id;
