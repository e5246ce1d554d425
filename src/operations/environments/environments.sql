-- The environments of the caller's project, newest first.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 smaller ids than this   ?4 how many at most
-- Plan: (hash=?), environments_by_project
-- Row: {key, environments}
SELECT json_object(
           'key', json_object('id', k.id, 'is', CASE WHEN k.id IS NULL THEN 'unknown' WHEN k.revoked_at IS NOT NULL THEN 'revoked'
                       WHEN k.valid_until <= ?2 THEN 'expired' WHEN k.can_read = 0 THEN 'unscoped' ELSE 'valid' END),
           'environments', json((SELECT json_group_array(json_object('id', id, 'name', name, 'slug', slug,
                   'disabled', json(iif(disabled, 'true', 'false'))))
               FROM (SELECT * FROM environments
                      WHERE k.can_read = 1 AND k.valid_until > ?2 AND project_id = k.project_id AND id < ?3
                      ORDER BY id DESC LIMIT coalesce(?4, 100))))) AS row
  FROM (SELECT 1)
  LEFT JOIN keys k ON k.hash = ?1;
