-- What came of a cancel; it decides nothing. changes() is SQLite's: the rows that the statement before it in the batch
-- changed. The runtime allows it (workerd's list of SQLite functions), which was tried locally and not on Cloudflare. After
-- a cancel that took, nothing need be read but the run. It only saves a row: were it to give anything else, the write's id
-- would still tell.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 run   ?4 this write's id   ?5 this write's hash
-- Plan: INTEGER PRIMARY KEY, (hash=?), (project_id=? AND last_run>?)
-- Row: {key, archived, found: {run, mine, news}}; found is null if the key may not see the run or it is archived; mine says whether this very request
--      cancelled it; news is for the hub, if it did or if the run is still stopping: the answer to the cancel may have
--      been lost together with the telling, and whoever asks again wants it to stop
SELECT coalesce(
    (SELECT json_object(
                'key', json_object('id', CAST(r.cancel_request_id AS INTEGER), 'is', 'valid'),
                'found', json_object(
                    'run', json_object('state', r.state, 'result', r.result, 'error_code', r.error_code,
                                   'ended_at', r.ended_at, 'cancelled_at', r.cancelled_at, 'cancel_by', r.cancel_by),
                    'mine', 'yes', 'news', json(r.news)))
       FROM changed_runs r
      WHERE r.id = iif(changes() = 1, ?3, NULL) AND substr(r.cancel_request_id, instr(r.cancel_request_id, ':') + 1) = ?4),
    (SELECT json_object(
                'key', json_object('id', k.id, 'is', CASE WHEN k.revoked_at IS NOT NULL THEN 'revoked' WHEN k.valid_until <= ?2 THEN 'expired'
                                                     WHEN k.can_cancel = 0 THEN 'unscoped' ELSE 'valid' END),
                'found', json(CASE WHEN k.can_cancel = 1 AND k.valid_until > ?2 THEN (SELECT json_object(
                    'run', json_object('state', r.state, 'result', r.result, 'error_code', r.error_code,
                                   'ended_at', r.ended_at, 'cancelled_at', r.cancelled_at, 'cancel_by', r.cancel_by),
                    'news', json(iif(r.cancel_request_id IS k.id || ':' || ?4 OR r.stop_outcome = 'stopping', r.news, NULL)),
                    'mine', CASE WHEN r.cancel_request_id IS NOT k.id || ':' || ?4 THEN 'no'
                                 WHEN r.cancel_cause = 'user' AND coalesce(r.cancel_request_hash, ?5) = ?5 THEN 'yes'
                                 ELSE 'reused' END)
                      FROM changed_runs r WHERE r.id = ?3 AND r.project_id = k.project_id) END),
                'archived', json(iif(EXISTS (SELECT 1 FROM (SELECT run_ids FROM archives
                                          WHERE project_id = iif(k.can_cancel = 1 AND k.valid_until > ?2, k.project_id, NULL)
                                            AND last_run >= ?3 ORDER BY last_run LIMIT 1) a
                                 WHERE instr(a.run_ids, ',' || CAST(?3 AS INTEGER) || ',') > 0),
                    'true', 'false')))
       FROM keys k WHERE k.hash = ?1),
    '{"key":{"id":null,"is":"unknown"}}') AS row;
