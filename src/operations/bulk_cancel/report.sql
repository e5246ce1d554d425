-- What came of a bulk cancel: the key, and the chosen runs as they are now. It decides nothing.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 this write's id   ?4 this write's hash   ?5 environment's slug or NULL
-- Plan: (hash=?), (request_id=?), INTEGER PRIMARY KEY, (run_id=? AND step=?)
-- Row, for each, or one without a run: {key, mine, next, environments, run}; mine says whether the choice is of this very
--      request; environments are the known slugs, at most 50, if the filter's is none of them; a run's `was` is the state
--      from which it was cancelled; its `news` is for the hub, if this request cancelled it
SELECT json_object(
           'key', json_object('id', k.id, 'is', CASE WHEN k.id IS NULL THEN 'unknown' WHEN k.revoked_at IS NOT NULL THEN 'revoked'
                       WHEN k.valid_until <= ?2 THEN 'expired' WHEN k.can_cancel = 0 THEN 'unscoped' ELSE 'valid' END),
           'mine', iif(coalesce(b.request_hash, ?4) = ?4, 'yes', 'reused'),
           'next', b.next,
           'environments', json(CASE WHEN k.can_cancel = 1 AND k.valid_until > ?2 AND ?5 IS NOT NULL
                   AND NOT EXISTS (SELECT 1 FROM environments e WHERE e.project_id = k.project_id AND e.slug = ?5) THEN
               (SELECT json_group_array(slug)
                  FROM (SELECT slug FROM environments WHERE project_id = k.project_id ORDER BY slug LIMIT 50)) END),
           'run', json(CASE WHEN r.id IS NOT NULL THEN json_object(
               'id', r.id, 'was', coalesce(v.from_state, r.state), 'environment', n.slug, 'branch', r.branch,
               'actor', coalesce(r.github_actor, r.created_by), 'created_at', r.created_at,
               'cancelled', json(iif(r.cancel_request_id IS k.id || ':' || ?3 AND r.cancel_cause = 'user'
                                     AND coalesce(r.cancel_request_hash, ?4) = ?4, 'true', 'false')),
               'now', json_object('state', r.state, 'result', r.result, 'error_code', r.error_code, 'ended_at', r.ended_at,
                                  'cancelled_at', r.cancelled_at, 'cancel_by', r.cancel_by),
               'news', json(CASE WHEN r.cancel_request_id IS k.id || ':' || ?3 THEN
                   (SELECT c.news FROM changed_runs c WHERE c.id = r.id) END)) END)) AS row
  FROM (SELECT 1)
  LEFT JOIN keys k ON k.hash = ?1
  LEFT JOIN bulk_cancels b ON k.can_cancel = 1 AND k.valid_until > ?2 AND b.request_id = k.id || ':' || ?3
  LEFT JOIN json_each(b.run_ids) j
  LEFT JOIN runs r ON r.id = j.value AND r.project_id = k.project_id
  LEFT JOIN environments n ON n.id = r.environment_id
  LEFT JOIN run_events v ON v.run_id = r.id AND v.step = 4;
