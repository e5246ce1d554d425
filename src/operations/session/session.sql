-- Whose key it is, what it may do, and in which project.
--
-- ?1 key's SHA-256   ?2 now (ms)
-- Plan: (hash=?), INTEGER PRIMARY KEY
-- Row: {key, holder, project}; holder and project are null if the key is not valid
SELECT json_object(
           'key', json_object('id', k.id, 'is', CASE WHEN k.id IS NULL THEN 'unknown' WHEN k.revoked_at IS NOT NULL THEN 'revoked'
                       WHEN k.valid_until <= ?2 THEN 'expired' ELSE 'valid' END),
           'holder', json(CASE WHEN k.valid_until > ?2 THEN json_object(
                       'user', k.user, 'name', k.name,
                       'can_read', k.can_read, 'can_cancel', k.can_cancel, 'can_run', k.can_run) END),
           'project', json(CASE WHEN p.id IS NOT NULL THEN json_object(
                       'id', p.id, 'name', p.name, 'slug', p.slug, 'repo_name', p.repo_name) END)) AS row
  FROM (SELECT 1)
  LEFT JOIN keys k ON k.hash = ?1
  LEFT JOIN projects p ON k.valid_until > ?2 AND p.id = k.project_id;
