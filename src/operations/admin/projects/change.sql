-- Changes a project, if that changes anything. Triggers write down what.
--
-- ?1 project   ?2 name   ?3 repository   ?4 badges (0 or 1)   ?5 stop on close (0 or 1)   ?6 retention (days); each NULL to leave it
-- ?7 now (ms)   ?8 1: only if its repository may be one of GitHub's
-- Plan: INTEGER PRIMARY KEY
UPDATE projects
   SET name = coalesce(?2, name), repo_name = coalesce(?3, repo_name), badges = coalesce(?4, badges),
       stop_on_close = coalesce(?5, stop_on_close), retention_days = coalesce(?6, retention_days), changed_at = ?7
 WHERE id = ?1 AND (name <> coalesce(?2, name) OR repo_name IS NOT coalesce(?3, repo_name) OR badges <> coalesce(?4, badges)
                    OR stop_on_close <> coalesce(?5, stop_on_close) OR retention_days <> coalesce(?6, retention_days))
   AND (?8 IS NOT 1 OR github_repo IS NOT NULL);
