-- What came of a registration: the key, and the run of this write's id or what kept it from being registered.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 this write's id   ?4 environment's slug   ?5 branch or NULL
-- Plan: (hash=?), runs_by_request, (project_id=? AND slug=?), runs_by_active_group
-- Row: {key, run, reserved_by, environments}; reserved_by is the protected run that waits for the concurrency group;
--      environments are the known slugs, at most 50, if there is no run
SELECT json_object(
           'key', CASE WHEN k.id IS NULL THEN 'unknown' WHEN k.revoked_at IS NOT NULL THEN 'revoked'
                       WHEN k.valid_until <= ?2 THEN 'expired' WHEN k.can_run = 0 THEN 'unscoped' ELSE 'valid' END,
           'run', json(CASE WHEN r.id IS NOT NULL THEN json_object(
               'id', r.id, 'state', r.state, 'test_run_branch', r.branch, 'created_at', r.created_at) END),
           'reserved_by', CASE WHEN e.id IS NOT NULL THEN
               (SELECT max(o.id) FROM runs o
                 WHERE o.project_id = p.id
                   AND o.active_group = CASE p.concurrency_scope
                           WHEN 'project' THEN 'project'
                           WHEN 'environment' THEN 'environment ' || e.id
                           WHEN 'branch_environment' THEN 'environment ' || e.id || ' branch ' || coalesce(?5, '')
                       END
                   AND o.state = 'pending' AND o.protected = 1) END,
           'environments', json(CASE WHEN p.id IS NOT NULL THEN
               (SELECT json_group_array(slug)
                  FROM (SELECT slug FROM environments WHERE project_id = p.id ORDER BY slug LIMIT 50)) END)) AS row
  FROM (SELECT 1)
  LEFT JOIN keys k ON k.hash = ?1
  LEFT JOIN runs r ON k.can_run = 1 AND k.valid_until > ?2 AND r.request_id = k.id || ':' || ?3
  LEFT JOIN projects p ON k.can_run = 1 AND k.valid_until > ?2 AND p.id = k.project_id AND r.id IS NULL
  LEFT JOIN environments e ON e.project_id = p.id AND e.slug = ?4;
