-- What came of a registration: the key, and the run of this write's id or what kept it from being registered. (changes():
-- see cancel/diagnose.sql; last_insert_rowid() is the run that the statement before has just made.)
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 this write's id   ?4 this write's hash   ?5 environment's slug   ?6 branch or NULL
-- Plan: INTEGER PRIMARY KEY, (hash=?), runs_by_request, (project_id=? AND slug=?), runs_by_active_group
-- Row: {key, found: {run, mine}, reserved_by, environments}; found is null if there is no run, and mine says whether it is of
--      this very request; reserved_by is the protected run that waits for the concurrency group; environments are the known
--      slugs, at most 50, if there is no run
SELECT coalesce(
    (SELECT json_object(
                'key', json_object('id', CAST(r.request_id AS INTEGER), 'is', 'valid'),
                'found', json_object(
                    'run', json_object('id', r.id, 'state', r.state, 'test_run_branch', r.branch, 'created_at', r.created_at),
                    'mine', 'yes'))
       FROM runs r
      WHERE r.id = iif(changes() = 1, last_insert_rowid(), NULL)
        AND substr(r.request_id, instr(r.request_id, ':') + 1) = ?3),
    (SELECT json_object(
                'key', json_object('id', k.id, 'is', CASE WHEN k.revoked_at IS NOT NULL THEN 'revoked' WHEN k.valid_until <= ?2 THEN 'expired'
                                                     WHEN k.can_run = 0 THEN 'unscoped' ELSE 'valid' END),
                'found', json(CASE WHEN r.id IS NOT NULL THEN json_object(
                    'run', json_object('id', r.id, 'state', r.state, 'test_run_branch', r.branch, 'created_at', r.created_at),
                    'mine', iif(coalesce(r.request_hash, ?4) = ?4, 'yes', 'reused')) END),
                'reserved_by', CASE WHEN e.id IS NOT NULL THEN
                    (SELECT max(o.id) FROM runs o
                      WHERE o.project_id = p.id
                        AND o.active_group = CASE p.concurrency_scope
                               WHEN 'project' THEN 'project'
                               WHEN 'environment' THEN 'environment ' || e.id
                               WHEN 'branch_environment' THEN 'environment ' || e.id || ' branch ' || coalesce(?6, '')
                           END
                        AND o.state = 'pending' AND o.protected = 1) END,
                'environments', json(CASE WHEN p.id IS NOT NULL THEN
                    (SELECT json_group_array(slug)
                       FROM (SELECT slug FROM environments WHERE project_id = p.id ORDER BY slug LIMIT 50)) END))
       FROM keys k
       LEFT JOIN runs r ON r.request_id = iif(k.can_run = 1 AND k.valid_until > ?2, k.id || ':' || ?3, NULL)
       LEFT JOIN projects p ON p.id = iif(k.can_run = 1 AND k.valid_until > ?2 AND r.id IS NULL, k.project_id, NULL)
       LEFT JOIN environments e ON e.project_id = p.id AND e.slug = ?5
      WHERE k.hash = ?1),
    '{"key":{"id":null,"is":"unknown"}}') AS row;
