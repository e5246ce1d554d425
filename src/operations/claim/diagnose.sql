-- What came of a claim: the key, the run and its shard as they are now, and the run that goes first. It decides nothing.
-- (changes(): see cancel/diagnose.sql.)
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 run   ?4 this write's id   ?5 this write's hash   ?6 shard
-- Plan: INTEGER PRIMARY KEY, (hash=?), (run_id=? AND shard=?), runs_by_active_group, (project_id=? AND last_run>?)
-- Row: {key, archived, found: {run, mine, total_shards, shard: {…, lease}, first, news}}; found is null if the key may not see the run or it is archived; shard
--      is null if no runner has claimed it; mine says whether this very request did; first is the run of the same
--      concurrency group for which this one waits; news is for the hub, if this request claimed the shard
SELECT coalesce(
    (SELECT json_object(
                'key', json_object('id', CAST(s.claim_request_id AS INTEGER), 'is', 'valid'),
                'found', json_object(
                    'run', json_object('state', 'started'), 'mine', 'yes', 'total_shards', s.shard,
                    'shard', json_object('state', s.state, 'started_at', s.started_at,
                        'lease', json_object('token', s.lease_token, 'expires_at', s.lease_expires_at)),
                    'news', json((SELECT c.news FROM changed_runs c WHERE c.id = s.run_id))))
       FROM run_shards s
      WHERE s.run_id = iif(changes() = 1, ?3, NULL) AND s.shard = ?6
        AND substr(s.claim_request_id, instr(s.claim_request_id, ':') + 1) = ?4),
    (SELECT json_object(
                'key', json_object('id', k.id, 'is', CASE WHEN k.revoked_at IS NOT NULL THEN 'revoked' WHEN k.valid_until <= ?2 THEN 'expired'
                                                     WHEN k.can_run = 0 THEN 'unscoped' ELSE 'valid' END),
                'found', json(CASE WHEN k.can_run = 1 AND k.valid_until > ?2 THEN (SELECT json_object(
                    'run', json_object('state', r.state, 'result', r.result, 'error_code', r.error_code,
                                   'ended_at', r.ended_at, 'cancelled_at', r.cancelled_at, 'cancel_by', r.cancel_by),
                    'total_shards', r.total_shards,
                    'news', json(CASE WHEN s.claim_request_id IS k.id || ':' || ?4 THEN
                        (SELECT c.news FROM changed_runs c WHERE c.id = r.id) END),
                    'mine', CASE WHEN s.claim_request_id IS NOT k.id || ':' || ?4 OR s.carried THEN 'no'
                                 WHEN coalesce(s.claim_request_hash, ?5) = ?5 THEN 'yes' ELSE 'reused' END,
                    'shard', json(CASE WHEN s.run_id IS NOT NULL THEN json_object(
                        'state', s.state, 'result', s.result, 'runner', s.runner, 'started_at', s.started_at,
                        'ended_at', s.ended_at, 'lease', json(CASE WHEN s.claim_request_id = k.id || ':' || ?4 THEN
                            json_object('token', s.lease_token, 'expires_at', s.lease_expires_at) END)) END),
                    'first', json((SELECT json_object(
                            'id', o.id, 'state', o.state, 'by', coalesce(o.cancel_by, o.started_by, o.created_by),
                            'started_at', o.started_at, 'cancelled_at', o.cancelled_at,
                            'lease_expires_at', (SELECT max(lease_expires_at) FROM run_shards
                                                  WHERE run_id = o.id AND state = 'started'))
                        FROM runs o
                       WHERE o.project_id = r.project_id AND o.active_group = r.active_group AND o.id <> r.id
                         AND (r.state = 'pending' OR r.state = 'queued')
                         AND (o.state = 'started' OR o.stop_outcome = 'stopping'
                              OR (r.state = 'pending' AND o.state = 'queued'))
                       ORDER BY o.id LIMIT 1)))
                      FROM runs r
                      LEFT JOIN run_shards s ON s.run_id = r.id AND s.shard = ?6
                     WHERE r.id = ?3 AND r.project_id = k.project_id) END),
                'archived', json(iif(EXISTS (SELECT 1 FROM (SELECT run_ids FROM archives
                                          WHERE project_id = iif(k.can_run = 1 AND k.valid_until > ?2, k.project_id, NULL)
                                            AND last_run >= ?3 ORDER BY last_run LIMIT 1) a
                                 WHERE instr(a.run_ids, ',' || CAST(?3 AS INTEGER) || ',') > 0),
                    'true', 'false')))
       FROM keys k WHERE k.hash = ?1),
    '{"key":{"id":null,"is":"unknown"}}') AS row;
