-- What a badge shows: how the newest run of an environment that has ended or broken did, on one branch if it is given, among the
-- newest 100. Nothing where the project has turned no badges on, and where there is no such project or environment.
--
-- ?1 project's slug   ?2 environment's slug   ?3 branch or NULL
-- Plan: (slug=?), (project_id=? AND slug=?), runs_by_environment, runs_by_branch
-- Row, if there is such a badge: passed, failed, error or null
SELECT json_quote(CASE WHEN ?3 IS NULL THEN (
           SELECT coalesce(result, state)
             FROM (SELECT state, result FROM runs INDEXED BY runs_by_environment
                    WHERE project_id = p.id AND environment_id = e.id ORDER BY id DESC LIMIT 100)
            WHERE state = 'ended' OR state = 'error' LIMIT 1)
       ELSE (
           SELECT coalesce(result, state)
             FROM (SELECT state, result, environment_id FROM runs INDEXED BY runs_by_branch
                    WHERE project_id = p.id AND branch = ?3 ORDER BY id DESC LIMIT 100)
            WHERE environment_id = e.id AND (state = 'ended' OR state = 'error') LIMIT 1) END) AS row
  FROM projects p
  JOIN environments e ON e.project_id = p.id AND e.slug = ?2
 WHERE p.slug = ?1 AND p.badges = 1;
