-- Chooses those of some ids that are runs of the caller's project, and writes the choice down: a repeat after a lost
-- answer finds it.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 this write's id   ?4 ids (JSON array)
-- Plan: (hash=?), runs_by_project
-- Row, if it chose: 1
INSERT INTO bulk_cancels (request_id, run_ids, created_at, created_by)
SELECT k.id || ':' || ?3,
       (SELECT json_group_array(r.id) FROM json_each(?4) j CROSS JOIN runs r ON r.id = j.value AND r.project_id = k.project_id),
       ?2, k.user
  FROM keys k
 WHERE k.hash = ?1 AND k.can_cancel = 1 AND k.valid_until > ?2
ON CONFLICT (request_id) DO NOTHING
RETURNING json(1) AS row;
