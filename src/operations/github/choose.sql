-- Chooses the runs that go with a pull request's branch and are not over, once for each delivery, and writes the choice down:
-- a delivery that comes again, which may be after the branch's next run, chooses nothing. What is being moved is left out. Looks at 1,000 open runs at most.
--
-- ?1 delivery   ?2 now (ms)   ?3 repository   ?4 branch   ?5 who closed it
-- Plan: projects_by_repo, runs_open, buckets_frozen
INSERT INTO bulk_cancels (request_id, run_ids, created_at, created_by)
SELECT 'github:' || ?1,
       (SELECT json_group_array(id)
          FROM (SELECT w.id
                  FROM (SELECT r.id, r.branch
                          FROM projects p
                         CROSS JOIN (SELECT 'pending' AS state UNION ALL SELECT 'queued' UNION ALL SELECT 'started') s
                         CROSS JOIN runs r INDEXED BY runs_open ON r.open_state = s.state AND r.project_id = p.id
                         WHERE p.repo_name = ?3 COLLATE NOCASE AND p.stop_on_close = 1
                           AND NOT EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = p.id)
                         LIMIT 1000) w
                 WHERE w.branch = ?4
                 LIMIT 100)),
       ?2, ?5
 WHERE EXISTS (SELECT 1 FROM projects p
                WHERE p.repo_name = ?3 COLLATE NOCASE AND p.stop_on_close = 1
                  AND NOT EXISTS (SELECT 1 FROM frozen_projects WHERE project_id = p.id))
ON CONFLICT (request_id) DO NOTHING;
