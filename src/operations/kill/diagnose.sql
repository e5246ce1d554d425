-- What came of a kill: the key, and the run as it is now. It decides nothing.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 run   ?4 this write's id
-- Plan: INTEGER PRIMARY KEY, (hash=?), (project_id=? AND last_run>?)
-- Row: {key, archived, found: {run, stop_outcome, stop_closed_at, kill_at, kill_by, mine, news}}; found is null if the key may not see the run or it is archived;
--      mine says whether this very request ordered it; news is for the hub, while there is something to kill
SELECT coalesce(
    (SELECT json_object(
                'key', json_object('id', k.id, 'is', CASE WHEN k.revoked_at IS NOT NULL THEN 'revoked' WHEN k.valid_until <= ?2 THEN 'expired'
                                                     WHEN k.can_cancel = 0 THEN 'unscoped' ELSE 'valid' END),
                'found', json(CASE WHEN k.can_cancel = 1 AND k.valid_until > ?2 THEN (SELECT json_object(
                    'run', json_object('state', r.state, 'result', r.result, 'error_code', r.error_code,
                                   'ended_at', r.ended_at, 'cancelled_at', r.cancelled_at, 'cancel_by', r.cancel_by),
                    'stop_outcome', r.stop_outcome, 'stop_closed_at', r.stop_closed_at, 'kill_at', r.kill_at, 'kill_by', r.kill_by,
                    'mine', json(iif(r.kill_request_id IS k.id || ':' || ?4, 'true', 'false')),
                    'news', json(iif(r.stop_outcome = 'stopping' AND r.kill_at IS NOT NULL, r.news, NULL)))
                      FROM changed_runs r WHERE r.id = ?3 AND r.project_id = k.project_id) END),
                'archived', json(iif(EXISTS (SELECT 1 FROM (SELECT run_ids FROM archives
                                          WHERE project_id = iif(k.can_cancel = 1 AND k.valid_until > ?2, k.project_id, NULL)
                                            AND last_run >= ?3 ORDER BY last_run LIMIT 1) a
                                 WHERE instr(a.run_ids, ',' || CAST(?3 AS INTEGER) || ',') > 0),
                    'true', 'false')))
       FROM keys k WHERE k.hash = ?1),
    '{"key":{"id":null,"is":"unknown"}}') AS row;
