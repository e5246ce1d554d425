-- What a bulk cancel by filter left: the key, how many runs still match, and what the filter got wrong. It decides nothing.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 this write's id   ?4 environment's slug   ?5 branch   ?6 state
-- ?7 created at or before (ms)   ?8 metadata (JSON object)   ?9 how many at most; ?4 to ?8 are NULL for any
-- Plan: (hash=?), runs_by_state, (project_id=? AND slug=?)
-- Row: {key, left, environments}; environments are the known slugs, at most 50, if the filter's is none of them
WITH matching AS (
    SELECT r.id
      FROM (SELECT r.id, r.environment_id, r.branch, r.state, r.created_at, r.metadata
              FROM keys k
              JOIN runs r INDEXED BY runs_by_state ON r.project_id = k.project_id AND r.state IN ('pending', 'queued', 'started')
             WHERE k.hash = ?1 AND k.can_cancel = 1 AND k.valid_until > ?2
             LIMIT 10000) r
     WHERE (?4 IS NULL OR r.environment_id = (SELECT e.id FROM keys k
               JOIN environments e ON e.project_id = k.project_id AND e.slug = ?4 WHERE k.hash = ?1))
       AND (?5 IS NULL OR r.branch = ?5) AND (?6 IS NULL OR r.state = ?6) AND (?7 IS NULL OR r.created_at <= ?7)
       AND (?8 IS NULL OR NOT EXISTS (SELECT 1 FROM json_each(?8) m
               WHERE NOT EXISTS (SELECT 1 FROM json_each(r.metadata) x WHERE x.key = m.key AND x.atom = m.atom)))
     ORDER BY r.id LIMIT coalesce(?9, 100))
SELECT json_object(
           'key', CASE WHEN k.id IS NULL THEN 'unknown' WHEN k.revoked_at IS NOT NULL THEN 'revoked'
                       WHEN k.valid_until <= ?2 THEN 'expired' WHEN k.can_cancel = 0 THEN 'unscoped' ELSE 'valid' END,
           'left', (SELECT count(*) FROM matching),
           'environments', json(CASE WHEN k.can_cancel = 1 AND k.valid_until > ?2 AND ?4 IS NOT NULL
                   AND NOT EXISTS (SELECT 1 FROM environments e WHERE e.project_id = k.project_id AND e.slug = ?4) THEN
               (SELECT json_group_array(slug)
                  FROM (SELECT slug FROM environments WHERE project_id = k.project_id ORDER BY slug LIMIT 50)) END)) AS row
  FROM (SELECT 1)
  LEFT JOIN keys k ON k.hash = ?1;
