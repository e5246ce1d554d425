-- A dry run: the runs that a filter would choose, as choose_matching.sql does.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 not used   ?4 not used   ?5 environment's slug   ?6 branch
-- ?7 state   ?8 created at or before (ms)   ?9 metadata (JSON object)   ?10 state and   ?11 id of the run to go on after
-- ?12 how many at most; ?5 to ?9 are NULL for any
-- Plan: (hash=?), runs_open, INTEGER PRIMARY KEY, (project_id=? AND slug=?)
-- Row, for each, or one without a run: {key, mine, next, environments, run}; environments are the known slugs, at most 50,
--      if the filter's is none of them
WITH walked AS MATERIALIZED (
    SELECT s.state, r.id,
           (?5 IS NULL OR r.environment_id = (SELECT e.id FROM environments e WHERE e.project_id = k.project_id AND e.slug = ?5))
           AND (?6 IS NULL OR r.branch = ?6) AND (?8 IS NULL OR r.created_at <= ?8)
           AND (?9 IS NULL OR NOT EXISTS (SELECT 1 FROM json_each(?9) m
                   WHERE NOT EXISTS (SELECT 1 FROM json_each(r.metadata) x WHERE x.key = m.key AND x.atom = m.atom))) AS matches
      FROM keys k
     CROSS JOIN (SELECT 'pending' AS state UNION ALL SELECT 'queued' UNION ALL SELECT 'started') s
     CROSS JOIN runs r INDEXED BY runs_open
     WHERE k.hash = ?1 AND k.can_cancel = 1 AND k.valid_until > ?2
       AND s.state >= ?10 AND (?7 IS NULL OR s.state = ?7)
       AND r.open_state = s.state AND r.project_id = k.project_id AND r.id > iif(s.state = ?10, ?11, 0)
     LIMIT 1000)
SELECT json_object(
           'key', json_object('id', k.id, 'is', CASE WHEN k.id IS NULL THEN 'unknown' WHEN k.revoked_at IS NOT NULL THEN 'revoked'
                       WHEN k.valid_until <= ?2 THEN 'expired' WHEN k.can_cancel = 0 THEN 'unscoped' ELSE 'valid' END),
           'mine', 'yes',
           'next', CASE WHEN k.can_cancel = 1 AND k.valid_until > ?2 THEN
               coalesce((SELECT state || ':' || id FROM walked WHERE matches LIMIT 1 OFFSET ?12 - 1),
                        (SELECT state || ':' || id FROM walked LIMIT 1 OFFSET 1000 - 1)) END,
           'environments', json(CASE WHEN k.can_cancel = 1 AND k.valid_until > ?2 AND ?5 IS NOT NULL
                   AND NOT EXISTS (SELECT 1 FROM environments e WHERE e.project_id = k.project_id AND e.slug = ?5) THEN
               (SELECT json_group_array(slug)
                  FROM (SELECT slug FROM environments WHERE project_id = k.project_id ORDER BY slug LIMIT 50)) END),
           'run', json(CASE WHEN r.id IS NOT NULL THEN json_object(
               'id', r.id, 'was', r.state, 'environment', n.slug, 'branch', r.branch,
               'actor', coalesce(r.github_actor, r.created_by), 'created_at', r.created_at,
               'cancelled', json('false'),
               'now', json_object('state', r.state, 'result', r.result, 'error_code', r.error_code, 'ended_at', r.ended_at,
                                  'cancelled_at', r.cancelled_at, 'cancel_by', r.cancel_by)) END)) AS row
  FROM (SELECT 1)
  LEFT JOIN keys k ON k.hash = ?1
  LEFT JOIN walked w ON k.can_cancel = 1 AND k.valid_until > ?2 AND w.matches
  LEFT JOIN runs r ON r.id = w.id AND r.project_id = k.project_id
  LEFT JOIN environments n ON n.id = r.environment_id
 LIMIT coalesce(?12, 100);
