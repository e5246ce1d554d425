-- What became of the runs of the caller's project, by the day (UTC) on which they were over. A day without any has no entry.
-- `as_of`: every run that closed before then is counted, which is that of the first one that is not.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 environment's slug, NULL for all   ?4 the first day, counted from 1970-01-01
-- Plan: (hash=?), (project_id=? AND slug=?), PRIMARY KEY (project_id=? AND environment_id=? AND day>?), INTEGER PRIMARY KEY
-- Row: {key, known, as_of, days}; known: whether there is such an environment; a day is an array of its counts and of its stops
SELECT json_object(
           'key', json_object('id', k.id, 'is', CASE WHEN k.id IS NULL THEN 'unknown' WHEN k.revoked_at IS NOT NULL THEN 'revoked'
                       WHEN k.valid_until <= ?2 THEN 'expired' WHEN k.can_read = 0 THEN 'unscoped' ELSE 'valid' END),
           'known', json(iif(?3 IS NULL OR e.id IS NOT NULL, 'true', 'false')),
           'as_of', CASE WHEN k.can_read = 1 AND k.valid_until > ?2 THEN (
               SELECT coalesce(r.ended_at, r.stop_closed_at, r.cancelled_at)
                 FROM (SELECT run_id FROM closed_runs ORDER BY position LIMIT 1) c JOIN runs r ON r.id = c.run_id) END,
           'days', json((
               SELECT json_group_array(json_array(
                          json_array(day, passed, failed, errors, by_user, by_stale, by_superseded, by_fail_fast,
                                     never_started, graceful, terminated, killed, lost, saved_user, saved_superseded),
                          json(stop_ms)))
                 FROM daily_runs
                WHERE k.can_read = 1 AND k.valid_until > ?2 AND project_id = k.project_id
                  AND environment_id = iif(?3 IS NULL, 0, e.id) AND day >= ?4))) AS row
  FROM (SELECT 1)
  LEFT JOIN keys k ON k.hash = ?1
  LEFT JOIN environments e ON k.can_read = 1 AND k.valid_until > ?2 AND e.project_id = k.project_id AND e.slug = ?3;
