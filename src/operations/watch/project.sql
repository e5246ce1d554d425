-- Which project's hub the feed of the caller's project comes from.
--
-- ?1 key's SHA-256   ?2 now (ms)
-- Plan: (hash=?)
-- Row: {key, project}; project is null if the key may not see it
SELECT json_object(
           'key', json_object('id', k.id, 'is', CASE WHEN k.id IS NULL THEN 'unknown' WHEN k.revoked_at IS NOT NULL THEN 'revoked'
                       WHEN k.valid_until <= ?2 THEN 'expired' WHEN k.can_read = 0 THEN 'unscoped' ELSE 'valid' END),
           'project', iif(k.can_read = 1 AND k.valid_until > ?2, k.project_id, NULL)) AS row
  FROM (SELECT 1)
  LEFT JOIN keys k ON k.hash = ?1;
