-- The events of one run, oldest first: at most one a step, so at most eight.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 run
-- Plan: (hash=?), runs_by_project, (run_id=?), (project_id=? AND last_run>?)
-- Row: {key, events, archived}; events is null if the key may not see the run or it is archived; archived says in which object it is
SELECT json_object(
           'key', json_object('id', k.id, 'is', CASE WHEN k.id IS NULL THEN 'unknown' WHEN k.revoked_at IS NOT NULL THEN 'revoked'
                       WHEN k.valid_until <= ?2 THEN 'expired' WHEN k.can_read = 0 THEN 'unscoped' ELSE 'valid' END),
           'events', json(CASE WHEN r.id IS NOT NULL THEN
               (SELECT json_group_array(json_object(
                           'at', strftime('%Y-%m-%dT%H:%M:%fZ', at / 1000.0, 'unixepoch'),
                           'from', from_state, 'to', to_state, 'cause', cause, 'by', by, 'reason', reason))
                  FROM (SELECT * FROM run_events WHERE run_id = r.id ORDER BY step)) END),
           'archived', json((SELECT json_array(a.object, json(a.members), a.last_run)
              FROM (SELECT * FROM archives
                     WHERE project_id = iif(k.can_read = 1 AND k.valid_until > ?2, k.project_id, NULL) AND last_run >= ?3
                     ORDER BY last_run LIMIT 1) a
             WHERE instr(a.run_ids, ',' || CAST(?3 AS INTEGER) || ',') > 0))) AS row
  FROM (SELECT 1)
  LEFT JOIN keys k ON k.hash = ?1
  LEFT JOIN runs r ON r.id = iif(k.can_read = 1 AND k.valid_until > ?2, ?3, NULL) AND r.project_id = k.project_id;
