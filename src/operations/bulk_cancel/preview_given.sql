-- A dry run: those of some ids that are runs of the caller's project.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 ids (JSON array)
-- Plan: (hash=?), INTEGER PRIMARY KEY
-- Row, for each, or one without a run: {key, mine, run}
SELECT json_object(
           'key', json_object('id', k.id, 'is', CASE WHEN k.id IS NULL THEN 'unknown' WHEN k.revoked_at IS NOT NULL THEN 'revoked'
                       WHEN k.valid_until <= ?2 THEN 'expired' WHEN k.can_cancel = 0 THEN 'unscoped' ELSE 'valid' END),
           'mine', 'yes',
           'run', json(CASE WHEN r.id IS NOT NULL THEN json_object(
               'id', r.id, 'was', r.state, 'environment', n.slug, 'branch', r.branch,
               'actor', coalesce(r.github_actor, r.created_by), 'created_at', r.created_at,
               'cancelled', json('false'),
               'now', json_object('state', r.state, 'result', r.result, 'error_code', r.error_code, 'ended_at', r.ended_at,
                                  'cancelled_at', r.cancelled_at, 'cancel_by', r.cancel_by)) END)) AS row
  FROM (SELECT 1)
  LEFT JOIN keys k ON k.hash = ?1
  LEFT JOIN json_each(?3) j ON k.can_cancel = 1 AND k.valid_until > ?2
  LEFT JOIN runs r ON r.id = j.value AND r.project_id = k.project_id
  LEFT JOIN environments n ON n.id = r.environment_id;
