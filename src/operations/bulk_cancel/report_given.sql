-- A dry run: those of some ids that are runs of the caller's project.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 not used   ?4 ids (JSON array)
-- Plan: (hash=?), INTEGER PRIMARY KEY
-- Row, for each: {id, mine, run}; mine is 0
SELECT json_object(
           'id', r.id, 'mine', 0,
           'run', json_object('state', r.state, 'result', r.result, 'error_code', r.error_code, 'ended_at', r.ended_at,
                              'cancelled_at', r.cancelled_at, 'cancel_by', r.cancel_by)) AS row
  FROM keys k
 CROSS JOIN json_each(?4) j
 CROSS JOIN runs r ON r.id = j.value AND r.project_id = k.project_id
 WHERE k.hash = ?1 AND k.can_cancel = 1 AND k.valid_until > ?2
 ORDER BY r.id;
