-- What a bulk cancel by ids came with: the key. It decides nothing.
--
-- ?1 key's SHA-256   ?2 now (ms)
-- Plan: (hash=?)
-- Row: {key, left}
SELECT json_object(
           'key', CASE WHEN k.id IS NULL THEN 'unknown' WHEN k.revoked_at IS NOT NULL THEN 'revoked'
                       WHEN k.valid_until <= ?2 THEN 'expired' WHEN k.can_cancel = 0 THEN 'unscoped' ELSE 'valid' END,
           'left', 0) AS row
  FROM (SELECT 1)
  LEFT JOIN keys k ON k.hash = ?1;
