-- One run, whole: the JSON that `GET /api/test-runs/{id}` answers with.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 run
-- Plan: (hash=?), INTEGER PRIMARY KEY, (run_id=?)
-- Row: {key, test_run}; test_run is null if the key may not see it; its shards are those that a runner has claimed
SELECT json_object(
           'key', json_object('id', k.id, 'is', CASE WHEN k.id IS NULL THEN 'unknown' WHEN k.revoked_at IS NOT NULL THEN 'revoked'
                       WHEN k.valid_until <= ?2 THEN 'expired' WHEN k.can_read = 0 THEN 'unscoped' ELSE 'valid' END),
           'test_run', json(CASE WHEN r.id IS NOT NULL THEN json_set(
    -- <test_run> D1 takes at most 32 arguments for a function, so json_set adds the rest. The list's text comes from here.
    json_set(json_object(
        'id', r.id, 'version', r.version, 'state', r.state, 'result', r.result, 'error_code', r.error_code,
        'environment', json_object('id', e.id, 'name', e.name, 'slug', e.slug),
        'test_run_branch', r.branch, 'build', json(r.build), 'metadata', json(r.metadata), 'tags', json(r.tags),
        'github_actor', r.github_actor, 'total_shards', r.total_shards, 'finished_shards', r.finished_shards,
        'counts', json(r.counts), 'created_by', r.created_by),
        '$.created_at', strftime('%Y-%m-%dT%H:%M:%fZ', r.created_at / 1000.0, 'unixepoch'),
        '$.group', r.run_group, '$.attempt', r.attempt, '$.fail_fast', r.fail_fast,
        '$.started_at', strftime('%Y-%m-%dT%H:%M:%fZ', r.started_at / 1000.0, 'unixepoch'),
        '$.started_by', r.started_by,
        '$.ended_at', strftime('%Y-%m-%dT%H:%M:%fZ', r.ended_at / 1000.0, 'unixepoch'),
        '$.ended_by', r.ended_by,
        '$.cancel', json(CASE WHEN r.state = 'cancelled' THEN json_object(
            'reason', r.cancel_reason, 'cause', r.cancel_cause, 'by', r.cancel_by,
            'at', strftime('%Y-%m-%dT%H:%M:%fZ', r.cancelled_at / 1000.0, 'unixepoch')) END),
        '$.stop', json(CASE WHEN r.state = 'cancelled' THEN json_object(
            'outcome', r.stop_outcome,
            'confirmed_at', iif(r.stop_outcome = 'lost', NULL,
                strftime('%Y-%m-%dT%H:%M:%fZ', r.stop_closed_at / 1000.0, 'unixepoch')),
            'duration_ms', iif(r.stop_outcome = 'lost', NULL, r.stop_closed_at - r.cancelled_at),
            'kill', json(CASE WHEN r.kill_at IS NOT NULL THEN json_object(
                'by', r.kill_by, 'at', strftime('%Y-%m-%dT%H:%M:%fZ', r.kill_at / 1000.0, 'unixepoch')) END),
            'late_result_at', strftime('%Y-%m-%dT%H:%M:%fZ', r.late_at / 1000.0, 'unixepoch')) END),
        '$.superseded_by', r.superseded_by,
        '$.protected', json(iif(r.protected, 'true', 'false')))
    -- </test_run>
           , '$.shards', json((SELECT json_group_array(json_object(
                'shard', s.shard, 'state', s.state, 'result', s.result, 'error_code', s.error_code,
                'counts', json(s.counts), 'runner', s.runner,
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
              FROM (SELECT * FROM run_shards WHERE run_id = r.id ORDER BY shard) s))) END)) AS row
  FROM (SELECT 1)
  LEFT JOIN keys k ON k.hash = ?1
  LEFT JOIN runs r ON r.id = iif(k.can_read = 1 AND k.valid_until > ?2, ?3, NULL) AND r.project_id = k.project_id
  LEFT JOIN environments e ON e.id = r.environment_id;
