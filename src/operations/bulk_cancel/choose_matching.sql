-- Chooses the runs of a filter that are not over, oldest first, among the first 10,000 of the index, and writes the
-- choice down: a repeat after a lost answer finds it and chooses no others.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 this write's id   ?4 environment's slug   ?5 branch   ?6 state
-- ?7 created at or before (ms)   ?8 metadata (JSON object)   ?9 how many at most; ?4 to ?8 are NULL for any
-- Plan: (hash=?), runs_by_state, (project_id=? AND slug=?)
-- Row, if it chose: 1
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
INSERT INTO bulk_cancels (request_id, run_ids, created_at, created_by)
SELECT k.id || ':' || ?3, (SELECT json_group_array(id) FROM matching), ?2, k.user
  FROM keys k
 WHERE k.hash = ?1 AND k.can_cancel = 1 AND k.valid_until > ?2
   AND (?4 IS NULL OR EXISTS (SELECT 1 FROM environments e WHERE e.project_id = k.project_id AND e.slug = ?4))
ON CONFLICT (request_id) DO NOTHING
RETURNING json(1) AS row;
