-- A dry run: the runs that a filter would choose, as choose_matching.sql does.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 not used   ?4 environment's slug   ?5 branch   ?6 state
-- ?7 created at or before (ms)   ?8 metadata (JSON object)   ?9 how many at most; ?4 to ?8 are NULL for any
-- Plan: (hash=?), runs_by_state, INTEGER PRIMARY KEY, (project_id=? AND slug=?)
-- Row, for each: {id, mine, run}; mine is 0
WITH matching AS (
    SELECT r.id
      FROM (SELECT r.id, r.environment_id, r.branch, r.state, r.created_at, r.metadata
              FROM keys k
              JOIN runs r INDEXED BY runs_by_state ON r.project_id = k.project_id AND r.state IN ('pending', 'queued', 'started')
             WHERE k.hash = ?1 AND k.can_cancel = 1 AND k.valid_until > ?2
             LIMIT 10000) r
     WHERE (?4 IS NULL OR r.environment_id = (SELECT e.id FROM keys k
               JOIN environments e ON e.project_id = k.project_id AND e.slug = ?4 WHERE k.hash = ?1))
       AND (?5 IS NULL OR r.branch = ?5) AND (?6 IS NULL OR r.state = ?6) AND (?7 IS NULL OR r.created_at <= ?7)
       AND (?8 IS NULL OR NOT EXISTS (SELECT 1 FROM json_each(?8) m
               WHERE NOT EXISTS (SELECT 1 FROM json_each(r.metadata) x WHERE x.key = m.key AND x.atom = m.atom)))
     ORDER BY r.id LIMIT coalesce(?9, 100))
SELECT json_object(
           'id', r.id, 'mine', 0,
           'run', json_object('state', r.state, 'result', r.result, 'error_code', r.error_code, 'ended_at', r.ended_at,
                              'cancelled_at', r.cancelled_at, 'cancel_by', r.cancel_by)) AS row
  FROM keys k
 CROSS JOIN runs r ON r.id IN (SELECT id FROM matching)
 WHERE k.hash = ?1 AND k.can_cancel = 1 AND k.valid_until > ?2
 ORDER BY r.id;
