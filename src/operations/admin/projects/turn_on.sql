-- Turns on what goes to GitHub of a project, if its repository may be one of GitHub's. Whoever turns on what is on gives it a new
-- chance.
--
-- ?1 project   ?2 check runs (1: on)   ?3 cancel CI (1: on)   ?4 the service's own origin   ?5 now (ms)
-- Plan: INTEGER PRIMARY KEY
INSERT INTO webhooks (project_id, url, events, format, origin, created_at, request_id, request_hash, github)
SELECT p.id, '', s.events, 'standard', ?4, ?5, 'github:' || s.setting || ':' || p.id, '', s.setting
  FROM (SELECT 'check_runs' AS setting, '["run.started","run.cancelled","run.stopped","run.ended","run.error"]' AS events WHERE ?2 = 1
        UNION ALL
        SELECT 'cancel_ci', '["run.cancelled","run.stopped"]' WHERE ?3 = 1) s
 CROSS JOIN projects p ON p.id = ?1 AND p.github_repo IS NOT NULL
 WHERE true
ON CONFLICT (request_id) DO UPDATE
   SET origin = excluded.origin, changed_at = excluded.created_at, deleted_at = NULL, disabled_at = NULL, disabled_why = NULL,
       failing_since = NULL;
