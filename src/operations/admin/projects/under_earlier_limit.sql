-- The runs of a project that are not over, or whose runners are still stopping, and that another limit holds than the one
-- that it has now: a change is for runs registered from then on. Looks at 10,000 runs of each state at most.
--
-- ?1 project
-- Plan: runs_open, runs_by_active_group, INTEGER PRIMARY KEY
-- Row, for each, at most 100: the run's id
SELECT json(r.id) AS row
  FROM projects p
 CROSS JOIN (SELECT id FROM (SELECT id FROM runs INDEXED BY runs_open
                              WHERE open_state = 'started' AND project_id = ?1 LIMIT 10000)
             UNION ALL
             SELECT id FROM (SELECT id FROM runs INDEXED BY runs_open
                              WHERE open_state = 'queued' AND project_id = ?1 LIMIT 10000)
             UNION ALL
             SELECT id FROM (SELECT id FROM runs INDEXED BY runs_open
                              WHERE open_state = 'pending' AND project_id = ?1 LIMIT 10000)
             UNION ALL
             SELECT id FROM (SELECT id FROM runs INDEXED BY runs_by_active_group
                              WHERE project_id = ?1 AND active_group IS NOT NULL AND open_state IS NULL LIMIT 10000)) open
 CROSS JOIN runs r ON r.id = open.id
 WHERE p.id = ?1
   AND r.concurrency_group IS NOT CASE p.concurrency_scope
           WHEN 'project' THEN 'project'
           WHEN 'environment' THEN 'environment ' || r.environment_id
           WHEN 'branch_environment' THEN 'environment ' || r.environment_id || ' branch ' || coalesce(r.branch, '')
       END
 ORDER BY r.id LIMIT 100;
