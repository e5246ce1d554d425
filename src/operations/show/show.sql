-- One run, whole: the JSON that `GET /api/test-runs/{id}` answers with.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 run
-- Plan: (hash=?), INTEGER PRIMARY KEY, (run_id=?), runs_by_successor
-- Row: {key, test_run}; test_run is null if the key may not see it; its shards are those that a runner has claimed, and
-- took_the_place_of are the newest runs that it superseded
SELECT json_object(
           'key', json_object('id', k.id, 'is', CASE WHEN k.id IS NULL THEN 'unknown' WHEN k.revoked_at IS NOT NULL THEN 'revoked'
                       WHEN k.valid_until <= ?2 THEN 'expired' WHEN k.can_read = 0 THEN 'unscoped' ELSE 'valid' END),
           'test_run', json((SELECT json_set(r.test_run,
           '$.shards', json((SELECT json_group_array(json_object(
                'shard', s.shard, 'state', s.state, 'result', s.result, 'error_code', s.error_code,
                'counts', json(s.counts), 'progress', json(s.progress), 'runner', s.runner,
                'started_at', strftime('%Y-%m-%dT%H:%M:%fZ', s.started_at / 1000.0, 'unixepoch'), 'started_by', s.started_by,
                'lease', json(CASE WHEN s.state = 'started' THEN json_object(
                    'renewed_at', strftime('%Y-%m-%dT%H:%M:%fZ', s.lease_renewed_at / 1000.0, 'unixepoch'),
                    'expires_at', strftime('%Y-%m-%dT%H:%M:%fZ', s.lease_expires_at / 1000.0, 'unixepoch')) END),
                'ended_at', strftime('%Y-%m-%dT%H:%M:%fZ', s.ended_at / 1000.0, 'unixepoch'),
                'stop', json(CASE WHEN s.state = 'cancelled' OR (s.state = 'started' AND r.state = 'cancelled') THEN json_object(
                    'outcome', coalesce(s.stop_outcome, 'stopping'),
                    'confirmed_at', iif(s.stop_outcome = 'lost', NULL,
                        strftime('%Y-%m-%dT%H:%M:%fZ', s.stop_closed_at / 1000.0, 'unixepoch'))) END),
                'late_result', json(CASE WHEN s.late_result IS NOT NULL THEN json_set(s.late_result, '$.at',
                    strftime('%Y-%m-%dT%H:%M:%fZ', (s.late_result ->> 'at') / 1000.0, 'unixepoch')) END),
                'carried', json(iif(s.carried, 'true', 'false'))))
              FROM (SELECT * FROM run_shards WHERE run_id = r.id ORDER BY shard) s)),
           '$.took_the_place_of', json((SELECT json_group_array(l.id)
              FROM (SELECT id FROM runs WHERE superseded_by = r.id ORDER BY id DESC LIMIT 20) l)))
              FROM listed_runs r
             WHERE r.id = iif(k.can_read = 1 AND k.valid_until > ?2, ?3, NULL) AND r.project_id = k.project_id))) AS row
  FROM (SELECT 1)
  LEFT JOIN keys k ON k.hash = ?1;
