-- Whose key it is, what it may do, and in which project.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 when the session that stands for the key ends (ISO 8601), or NULL
-- ?4 how long tests get to end by themselves (s)
-- Plan: (hash=?), INTEGER PRIMARY KEY
-- Row: {key, state}; state is the JSON of SessionState, null if the key is not valid
SELECT json_object(
           'key', json_object('id', k.id, 'is', CASE WHEN k.id IS NULL THEN 'unknown' WHEN k.revoked_at IS NOT NULL THEN 'revoked'
                       WHEN k.valid_until <= ?2 THEN 'expired' ELSE 'valid' END),
           'state', json(CASE WHEN p.id IS NOT NULL THEN json_object(
               'session', json_object('user', k.user, 'name', k.name, 'expires_at', ?3,
                   'scopes', json('[' || substr(iif(k.can_read, ',"read"', '') || iif(k.can_cancel, ',"cancel"', '')
                                                || iif(k.can_run, ',"run"', ''), 2) || ']')),
               'project', json_object('id', p.id, 'name', p.name, 'slug', p.slug, 'repo_name', p.repo_name),
               'stop_grace_seconds', CAST(?4 AS INTEGER)) END)) AS row
  FROM (SELECT 1)
  LEFT JOIN keys k ON k.hash = ?1
  LEFT JOIN projects p ON k.valid_until > ?2 AND p.id = k.project_id;
