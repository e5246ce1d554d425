-- What came of a registration: the key, and the run of this write's id, the run that it joins, or what kept it from being
-- registered. (changes(): see cancel/diagnose.sql; last_insert_rowid() is the run that the statement before has just made.)
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 this write's id   ?4 this write's hash   ?5 environment's slug   ?6 branch
-- ?7 group   ?8 attempt   ?9 the caller's shard; ?6 to ?9 may be NULL
-- Plan: INTEGER PRIMARY KEY, (hash=?), runs_by_request, (project_id=? AND slug=?), runs_by_active_group, runs_by_run_group
-- Row: {key, found: {run, mine, environment, total_shards, news}, reserved_by, disabled, environments}; found is null if there is no run, and mine
--      says whether it is of this very request or, with `no`, the group's latest; environment and total_shards are what that
--      one has; news is for the hub, if this request registered it; reserved_by is the protected run that waits for the concurrency group; disabled says whether the environment takes no new runs;
--      environments are the slugs of those that do, at most 50, if there is no run
SELECT coalesce(
    (SELECT json_object(
                'key', json_object('id', CAST(r.request_id AS INTEGER), 'is', 'valid'),
                'found', json_object(
                    'run', json_object('id', r.id, 'state', r.state, 'test_run_branch', r.branch, 'created_at', r.created_at,
                                       'attempt', r.attempt),
                    'mine', 'yes', 'environment', ?5, 'total_shards', r.total_shards, 'news', json(r.news)))
       FROM changed_runs r
      WHERE r.id = iif(changes() > 0, last_insert_rowid(), NULL)
        AND substr(r.request_id, instr(r.request_id, ':') + 1) = ?3),
    (SELECT json_object(
                'key', json_object('id', k.id, 'is', CASE WHEN k.revoked_at IS NOT NULL THEN 'revoked' WHEN k.valid_until <= ?2 THEN 'expired'
                                                     WHEN k.can_run = 0 THEN 'unscoped' ELSE 'valid' END),
                'found', json(CASE WHEN r.id IS NOT NULL THEN json_object(
                    'run', json_object('id', r.id, 'state', r.state, 'test_run_branch', r.branch, 'created_at', r.created_at,
                                       'attempt', r.attempt),
                    'mine', CASE WHEN r.request_id IS NOT k.id || ':' || ?3 THEN 'no'
                                 WHEN coalesce(r.request_hash, ?4) = ?4 THEN 'yes' ELSE 'reused' END,
                    'environment', (SELECT slug FROM environments WHERE id = r.environment_id),
                    'total_shards', r.total_shards,
                    'news', json(CASE WHEN r.request_id IS k.id || ':' || ?3 THEN
                        (SELECT c.news FROM changed_runs c WHERE c.id = r.id) END)) END),
                'reserved_by', CASE WHEN e.id IS NOT NULL THEN
                    (SELECT max(o.id) FROM runs o
                      WHERE o.project_id = p.id
                        AND o.active_group = CASE p.concurrency_scope
                               WHEN 'project' THEN 'project'
                               WHEN 'environment' THEN 'environment ' || e.id
                               WHEN 'branch_environment' THEN 'environment ' || e.id || ' branch ' || coalesce(?6, '')
                           END
                        AND o.state = 'pending' AND o.protected = 1) END,
                'disabled', json(iif(e.disabled, 'true', 'false')),
                'environments', json(CASE WHEN p.id IS NOT NULL THEN
                    (SELECT json_group_array(slug)
                       FROM (SELECT slug FROM environments WHERE project_id = p.id AND disabled = 0 ORDER BY slug LIMIT 50)) END))
       FROM keys k
       LEFT JOIN runs r ON r.id = CASE WHEN k.can_run = 1 AND k.valid_until > ?2 THEN coalesce(
           (SELECT id FROM runs WHERE request_id = k.id || ':' || ?3),
           (SELECT g.id FROM runs g
             WHERE g.project_id = k.project_id AND g.run_group = ?7
               AND g.attempt = (SELECT max(attempt) FROM runs WHERE project_id = k.project_id AND run_group = ?7)
               AND NOT (g.open_state IS NULL
                        AND iif(?8 IS NULL, EXISTS (SELECT 1 FROM run_shards s WHERE s.run_id = g.id AND s.shard = ?9), g.attempt < ?8)))) END
       LEFT JOIN projects p ON p.id = iif(k.can_run = 1 AND k.valid_until > ?2 AND r.id IS NULL, k.project_id, NULL)
       LEFT JOIN environments e ON e.project_id = p.id AND e.slug = ?5
      WHERE k.hash = ?1),
    '{"key":{"id":null,"is":"unknown"}}') AS row;
