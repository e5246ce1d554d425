-- Chooses those of some ids that are runs of the caller's project, and writes the choice down: a repeat after a lost
-- answer finds it.
--
-- ?1 key's SHA-256   ?2 now (ms)   ?3 this write's id   ?4 this write's hash   ?5 ids (JSON array)
-- Plan: (hash=?), runs_by_project
INSERT INTO bulk_cancels (request_id, request_hash, run_ids, created_at, created_by)
SELECT k.id || ':' || ?3, ?4,
       (SELECT json_group_array(r.id) FROM json_each(?5) j CROSS JOIN runs r ON r.id = j.value AND r.project_id = k.project_id),
       ?2, k.user
  FROM keys k
 WHERE k.hash = ?1 AND k.can_cancel = 1 AND k.valid_until > ?2
ON CONFLICT (request_id) DO NOTHING;
