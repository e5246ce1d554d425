-- The chosen runs as they are now.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 this write's id
-- Plan: (hash=?), (request_id=?), INTEGER PRIMARY KEY
-- Row, for each: {id, mine, run}; mine is 1 if this very request cancelled it
SELECT json_object(
           'id', r.id, 'mine', r.cancel_request_id IS k.id || ':' || ?3,
           'run', json_object('state', r.state, 'result', r.result, 'error_code', r.error_code, 'ended_at', r.ended_at,
                              'cancelled_at', r.cancelled_at, 'cancel_by', r.cancel_by)) AS row
  FROM keys k
 CROSS JOIN bulk_cancels b ON b.request_id = k.id || ':' || ?3
 CROSS JOIN json_each(b.run_ids) j
 CROSS JOIN runs r ON r.id = j.value AND r.project_id = k.project_id
 WHERE k.hash = ?1 AND k.can_cancel = 1 AND k.valid_until > ?2
 ORDER BY r.id;
