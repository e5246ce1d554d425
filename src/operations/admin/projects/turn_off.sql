-- Turns off what goes to GitHub of a project: what is not wanted any more, and all of it once its repository cannot be one of
-- GitHub's.
--
-- ?1 project   ?2 check runs (0: off)   ?3 cancel CI (0: off)   ?4 now (ms)
-- Plan: webhooks_by_project, INTEGER PRIMARY KEY
UPDATE webhooks SET deleted_at = ?4
 WHERE project_id = ?1 AND deleted_at IS NULL AND github IS NOT NULL
   AND ((github = 'check_runs' AND ?2 = 0) OR (github = 'cancel_ci' AND ?3 = 0)
        OR (SELECT github_repo FROM projects WHERE id = ?1) IS NULL);
