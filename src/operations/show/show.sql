-- One run, whole: the JSON that `GET /api/test-runs/{id}` answers with.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 run
-- Plan: (hash=?), INTEGER PRIMARY KEY, (run_id=?), runs_by_successor, (project_id=? AND last_run>?)
-- Row: {key, test_run, archived}; test_run is null if the key may not see it or it is archived; its shards are those that a runner
-- has claimed, and took_the_place_of are the newest runs that it superseded; archived says in which object it is
SELECT json_object(
           'key', json_object('id', k.id, 'is', CASE WHEN k.id IS NULL THEN 'unknown' WHEN k.revoked_at IS NOT NULL THEN 'revoked'
                       WHEN k.valid_until <= ?2 THEN 'expired' WHEN k.can_read = 0 THEN 'unscoped' ELSE 'valid' END),
           'test_run', json((SELECT r.shown
              FROM shown_runs r
             WHERE r.id = iif(k.can_read = 1 AND k.valid_until > ?2, ?3, NULL) AND r.project_id = k.project_id)),
           'archived', json((SELECT json_array(a.object, json(a.members), a.last_run)
              FROM (SELECT * FROM archives
                     WHERE project_id = iif(k.can_read = 1 AND k.valid_until > ?2, k.project_id, NULL) AND last_run >= ?3
                     ORDER BY last_run LIMIT 1) a
             WHERE instr(a.run_ids, ',' || CAST(?3 AS INTEGER) || ',') > 0))) AS row
  FROM (SELECT 1)
  LEFT JOIN keys k ON k.hash = ?1;
